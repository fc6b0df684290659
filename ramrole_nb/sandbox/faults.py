"""Faults: one switch per cause of trouble that lives on the server's side, each with the error text the cloud has.

Some faults change what exists (a role's trust policy, a metadata option), so that whoever looks for the cause finds
it where it would be; switching them off puts back what they changed. The others change answers while they are on.
Kept in the state, beside the knobs; a reset clears them.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from ..errors import InputError, nearest
from ..policy import trusts_service
from .answers import Answer, FileBody
from .errors import ImdsError, OpenApiError, OssError
from .store import Store, dumps

if TYPE_CHECKING:
    from aiohttp import web

    from .exchange import Exchange

__all__ = ["FAULTS", "Fault", "Faults", "send_damaged"]

# Longer than any client waits.
_HANG_SECONDS = 90.0
_ECS = "ecs.aliyuncs.com"
_OTHER_ROLE = "SandboxOtherRole"
_DENY_POLICY = "SandboxFaultDenyOss"

_IMDS = "https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata"
_OPTIONS = "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions"
_RAM_FAQ = "https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens"
_GATEWAY = "https://help.aliyun.com/document_detail/48054.html"
_RAM_CODES = "https://www.alibabacloud.com/help/en/ram/developer-reference/api-error-codes"
_CREDENTIALS_PY = "https://github.com/aliyun/credentials-python"

Saved = dict[str, Any]
Basis = Literal["documentation", "client", "ours"]


@dataclass(frozen=True)
class Fault:
    """One cause. `basis` says what its answer rests on: documentation, what a client was seen to get, or us.

    `place` and `mend` are there where the fault changes what exists; `place` returns what `mend` needs.
    """

    name: str
    meaning: str
    source: str
    basis: Basis
    by_instance: bool = False
    place: Callable[[Store, tuple[str, ...]], Saved] | None = None
    mend: Callable[[Store, Saved], None] | None = None


# -- faults that change what exists ------------------------------------------------------------------------------


def _of(instances: tuple[str, ...], column: str = "instance_id") -> str:
    # Instance ids come from our own table, checked in `Faults.set`.
    return f" WHERE {column} IN ({','.join(repr(i) for i in instances)})" if instances else ""


def _set_column(column: str, value: str) -> Callable[[Store, tuple[str, ...]], Saved]:
    def place(store: Store, instances: tuple[str, ...]) -> Saved:
        rows = store.all(f"SELECT instance_id, {column} AS was FROM instances{_of(instances)}")  # noqa: S608
        store.run(f"UPDATE instances SET {column}=?{_of(instances)}", value)  # noqa: S608
        return {"value": value, "was": {row["instance_id"]: row["was"] for row in rows}}

    return place


def _unset_column(column: str) -> Callable[[Store, Saved], None]:
    def mend(store: Store, saved: Saved) -> None:
        for instance_id, was in saved["was"].items():
            sql = f"UPDATE instances SET {column}=? WHERE instance_id=? AND {column}=?"  # noqa: S608
            store.run(sql, was, instance_id, saved["value"])

    return mend


def _rows(rows: Iterable[sqlite3.Row]) -> list[list[Any]]:
    return [list(row) for row in rows]


def _put_back(store: Store, table: str, rows: Iterable[list[Any]]) -> None:
    for row in rows:
        store.run(f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(row))})", *row)  # noqa: S608


def _detach(store: Store, instances: tuple[str, ...]) -> Saved:
    held = _rows(store.all(f"SELECT * FROM instance_roles{_of(instances)}"))  # noqa: S608
    store.run(f"DELETE FROM instance_roles{_of(instances)}")  # noqa: S608
    store.run(f"DELETE FROM instance_credentials{_of(instances)}")  # noqa: S608
    return {"held": held}


def _attach_again(store: Store, saved: Saved) -> None:
    _put_back(store, "instance_roles", saved["held"])


def _new_role_id() -> str:
    return f"3{secrets.randbelow(10**17):017d}"


def _replace_role(store: Store, instances: tuple[str, ...]) -> Saved:
    held = _rows(store.all(f"SELECT * FROM instance_roles{_of(instances)}"))  # noqa: S608
    trust = dumps(
        {
            "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": [_ECS]}}],
            "Version": "1",
        }
    )
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    store.run(
        "INSERT OR IGNORE INTO roles VALUES (?, ?, ?, ?, 3600, '[]', ?, ?)",
        _OTHER_ROLE, _new_role_id(), "Made by the fault role-replaced", trust, now, now,
    )  # fmt: skip
    for row in held:
        store.run(
            "UPDATE instance_roles SET role_name=?, attachment_id=? WHERE instance_id=?",
            _OTHER_ROLE,
            secrets.token_hex(8),
            row[0],
        )
    return {"held": held}


def _role_as_it_was(store: Store, saved: Saved) -> None:
    for row in saved["held"]:
        store.run("DELETE FROM instance_roles WHERE instance_id=? AND role_name=?", row[0], _OTHER_ROLE)
    _put_back(store, "instance_roles", saved["held"])
    store.run("DELETE FROM policy_attachments WHERE entity_type='Role' AND entity_name=?", _OTHER_ROLE)
    store.run("DELETE FROM roles WHERE name=?", _OTHER_ROLE)


def _attached_roles(store: Store) -> list[sqlite3.Row]:
    return store.all("SELECT * FROM roles WHERE name IN (SELECT role_name FROM instance_roles)")


def _delete_roles(store: Store, _: tuple[str, ...]) -> Saved:
    roles, grants = _attached_roles(store), []
    for role in roles:
        where = "FROM policy_attachments WHERE entity_type='Role' AND entity_name=?"
        grants += _rows(store.all(f"SELECT * {where}", role["name"]))
        store.run(f"DELETE {where}", role["name"])
        store.run("DELETE FROM roles WHERE name=?", role["name"])
    return {"roles": _rows(roles), "grants": grants}


def _roles_again(store: Store, saved: Saved) -> None:
    _put_back(store, "roles", saved["roles"])
    _put_back(store, "policy_attachments", saved["grants"])


def _recreate_roles(store: Store, _: tuple[str, ...]) -> Saved:
    ids = {}
    for role in _attached_roles(store):
        ids[role["name"]] = [role["role_id"], _new_role_id()]
        store.run("UPDATE roles SET role_id=? WHERE name=?", ids[role["name"]][1], role["name"])
    return {"ids": ids}


def _old_role_ids(store: Store, saved: Saved) -> None:
    for name, (old, new) in saved["ids"].items():
        store.run("UPDATE roles SET role_id=? WHERE name=? AND role_id=?", old, name, new)


def _lose_trust(store: Store, _: tuple[str, ...]) -> Saved:
    statement = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"RAM": [f"acs:ram::{store.account_id}:root"]},
    }
    broken, was = dumps({"Statement": [statement], "Version": "1"}), {}
    for role in store.all("SELECT * FROM roles"):
        if trusts_service(role["trust_policy"], _ECS):
            was[role["name"]] = role["trust_policy"]
            store.run("UPDATE roles SET trust_policy=? WHERE name=?", broken, role["name"])
    return {"broken": broken, "was": was}


def _trust_again(store: Store, saved: Saved) -> None:
    for name, was in saved["was"].items():
        sql = "UPDATE roles SET trust_policy=? WHERE name=? AND trust_policy=?"
        store.run(sql, was, name, saved["broken"])


def _revoke(store: Store, _: tuple[str, ...]) -> Saved:
    grants = _rows(store.all("SELECT * FROM policy_attachments WHERE entity_type='Role'"))
    store.run("DELETE FROM policy_attachments WHERE entity_type='Role'")
    return {"grants": grants}


def _grant_again(store: Store, saved: Saved) -> None:
    for grant in saved["grants"]:
        if store.one("SELECT 1 FROM roles WHERE name=?", grant[1]):
            _put_back(store, "policy_attachments", [grant])


def _deny(store: Store, _: tuple[str, ...]) -> Saved:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    document = {"Version": "1", "Statement": [{"Effect": "Deny", "Action": "oss:*", "Resource": "*"}]}
    store.run(
        "INSERT OR IGNORE INTO policies VALUES (?, 'Made by the fault explicit-deny', 'v1', 2, '[]', ?, ?)",
        _DENY_POLICY,
        now,
        now,
    )
    store.run(
        "INSERT OR IGNORE INTO policy_versions VALUES (?, 'v1', ?, ?)", _DENY_POLICY, dumps(document), now
    )
    for role in store.all("SELECT name FROM roles"):
        store.run(
            "INSERT OR IGNORE INTO policy_attachments VALUES ('Role', ?, 'Custom', ?, ?)",
            role["name"],
            _DENY_POLICY,
            now,
        )
    return {}


def _no_deny(store: Store, _: Saved) -> None:
    store.run("DELETE FROM policy_attachments WHERE policy_type='Custom' AND policy_name=?", _DENY_POLICY)
    store.run("DELETE FROM policy_versions WHERE policy_name=?", _DENY_POLICY)
    store.run("DELETE FROM policies WHERE name=?", _DENY_POLICY)


def _disable_keys(store: Store, _: tuple[str, ...]) -> Saved:
    keys = [row["access_key_id"] for row in store.all("SELECT * FROM access_keys WHERE status='Active'")]
    store.run("UPDATE access_keys SET status='Inactive'")
    return {"keys": keys}


def _enable_keys(store: Store, saved: Saved) -> None:
    for key in saved["keys"]:
        store.run("UPDATE access_keys SET status='Active' WHERE access_key_id=?", key)


def _without_pass_role(text: str) -> str:
    """Return a policy document without the statements that allow ram:PassRole by name."""
    document = json.loads(text)
    kept = []
    for statement in document.get("Statement", []):
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        left = [action for action in actions if str(action).lower() != "ram:passrole"]
        if left:
            kept.append({**statement, "Action": left} if len(left) != len(actions) else statement)
    return json.dumps({**document, "Statement": kept}, indent=2)


def _remove_pass_role(store: Store, _: tuple[str, ...]) -> Saved:
    was: list[list[str]] = []
    for row in store.all("SELECT * FROM policy_versions"):
        if "ram:passrole" not in row["document"].lower():
            continue
        changed = _without_pass_role(row["document"])
        if not json.loads(changed)["Statement"]:
            continue  # a policy of nothing is none
        was.append([row["policy_name"], row["version_id"], row["document"], changed])
        sql = "UPDATE policy_versions SET document=? WHERE policy_name=? AND version_id=?"
        store.run(sql, changed, row["policy_name"], row["version_id"])
    return {"was": was}


def _pass_role_again(store: Store, saved: Saved) -> None:
    for name, version, was, changed in saved["was"]:
        sql = "UPDATE policy_versions SET document=? WHERE policy_name=? AND version_id=? AND document=?"
        store.run(sql, was, name, version, changed)


_LIST = [
    # -- the metadata service
    Fault(
        "imds-disabled", "the metadata service of the instance is switched off (HttpEndpoint=disabled): 403",
        _OPTIONS, "ours", True, _set_column("http_endpoint", "disabled"), _unset_column("http_endpoint"),
    ),
    Fault(
        "imds-hardened", "security hardening mode only (HttpTokens=required): requests without a token get 403",
        "https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode",
        "documentation", True, _set_column("http_tokens", "required"), _unset_column("http_tokens"),
    ),
    Fault(
        "imds-token-fails", "asking for a metadata token gets 500: clients fall back to normal mode, unless told not to",
        f"{_CREDENTIALS_PY} (provider/ecs_ram_role.py)", "client", True,
    ),
    Fault(
        "imds-token-forbidden", "asking for a metadata token gets 403, as where a proxy adds X-Forwarded-For",
        _IMDS, "documentation", True,
    ),
    Fault(
        "token-endpoint-405", "asking for a metadata token gets 405, as with GET instead of PUT",
        "https://github.com/aliyun/credentials-nodejs/issues/111", "client", True,
    ),
    Fault(
        "imds-hangs", "the metadata service takes requests and never answers (firewall, security group)",
        "https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance",
        "documentation", True,
    ),
    Fault(
        "imds-500-on-credentials", "the metadata service answers 500 where credentials are asked for",
        "https://github.com/aliyun/credentials-java/pull/106", "ours", True,
    ),
    Fault("imds-throttled", "the metadata service answers 429: it was asked too often", _IMDS, "ours", True),
    # -- roles
    Fault(
        "role-detached", "the instance's role was detached: 404 from the metadata service",
        "https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance",
        "documentation", True, _detach, _attach_again,
    ),
    Fault(
        "role-replaced", "the instance has another role than the one programs name: 404 for the old name",
        "https://github.com/aliyun/aliyun-cli/issues/525", "client", True, _replace_role, _role_as_it_was,
    ),
    Fault(
        "role-missing", "the roles that are attached were deleted; credentials given out lose every permission",
        _RAM_FAQ, "documentation", False, _delete_roles, _roles_again,
    ),
    Fault(
        "role-recreated",
        "the roles that are attached were deleted and made again under their names: old sessions may do nothing",
        _RAM_FAQ, "documentation", False, _recreate_roles, _old_role_ids,
    ),
    Fault(
        "trust-lost", "no role trusts ecs.aliyuncs.com any more: no credentials, and attaching is refused",
        "https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole",
        "documentation", False, _lose_trust, _trust_again,
    ),
    Fault(
        "policy-detached", "the roles' policies were detached: AccessDenied, EC 0003-00000001, ImplicitDeny",
        "https://alibabacloud.com/help/en/oss/support/0003-00000001", "documentation", False,
        _revoke, _grant_again,
    ),
    Fault(
        "explicit-deny", "a policy on every role denies oss:*: AccessDenied, EC 0003-00000201, ExplicitDeny",
        "https://www.alibabacloud.com/help/en/oss/support/0003-00000201", "documentation", False,
        _deny, _no_deny,
    ),
    Fault(
        "passrole-removed", "ram:PassRole was taken out of every custom policy: attaching a role is refused",
        "https://www.alibabacloud.com/help/en/ecs/user-guide/authorize-a-ram-user-to-manage-an-instance-ram-role",
        "documentation", False, _remove_pass_role, _pass_role_again,
    ),
    Fault(
        "attach-not-visible", "a role that was attached does not show yet, to the metadata service and in lists",
        "https://github.com/alibaba/terraform-provider/issues/387", "client",
    ),
    # -- credentials
    Fault(
        "credentials-expired", "the metadata service serves an expired credential, and every service refuses it",
        "https://alibabacloud.com/help/en/oss/support/0002-00000007", "documentation",
    ),
    Fault(
        "credentials-mixed", "the metadata service serves the key of one credential with the token of another",
        "https://github.com/aliyun/credentials-go/pull/49", "client", True,
    ),
    Fault(
        "token-invalid", "security tokens are not recognized: InvalidSecurityToken",
        "https://help.aliyun.com/en/oss/user-guide/0002-00000006", "documentation",
    ),
    Fault(
        "access-key-disabled", "the users' AccessKeys were disabled", _GATEWAY, "documentation", False,
        _disable_keys, _enable_keys,
    ),
    Fault(
        "clock-skew", "the services' clocks are an hour ahead of this machine's: its requests look too old",
        "https://help.aliyun.com/en/oss/user-guide/0002-00000504", "documentation",
    ),
    # -- RAM, ECS, STS
    Fault("throttling", "every OpenAPI call is refused: Throttling.User", _GATEWAY, "documentation"),
    Fault("openapi-500", "every OpenAPI call ends in 500 InternalError", _RAM_CODES, "documentation"),
    Fault("openapi-503", "every OpenAPI call ends in 503 ServiceUnavailable", _RAM_CODES, "documentation"),
    Fault("ram-inactive", "RAM was never activated in this account: 403 Inactive", _RAM_CODES, "documentation"),
    Fault(
        "empty-reply", "attaching and detaching are done, but answered with an empty body (JSON parsers fail)",
        "https://github.com/aliyun/terraform-provider-alicloud (unexpected end of JSON input)", "client",
    ),
    # -- OSS
    Fault(
        "signature-v1-refused", "OSS refuses signature V1, as for new accounts: 403, EC 0002-00000080",
        "https://help.aliyun.com/en/oss/user-guide/0002-00000080", "documentation",
    ),
    Fault(
        "public-endpoint-forbidden",
        "OSS refuses data operations on public endpoints of mainland regions, as for new accounts: 400",
        "https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401", "documentation",
    ),
    Fault(
        "oss-500", "every OSS request ends in 500 InternalError",
        "https://github.com/AlibabaCloudDocs/oss (Error responses)", "documentation",
    ),
    Fault(
        "oss-503", "every OSS request ends in 503 ServiceUnavailable",
        "https://github.com/AlibabaCloudDocs/oss (Error responses)", "ours",
    ),
    Fault(
        "short-body", "GetObject's connection breaks after half of the bytes",
        "https://github.com/aliyun/aliyun-oss-python-sdk/issues/201", "client",
    ),
    Fault(
        "empty-body", "GetObject answers 200 with no bytes, and the right CRC64 in its header",
        "https://github.com/aliyun/aliyun-oss-python-sdk/issues/109", "client",
    ),
    Fault(
        "corrupt-body", "GetObject sends one wrong byte, and the right CRC64 in its header",
        "https://github.com/AlibabaCloudDocs/oss (GetObject, x-oss-hash-crc64ecma)", "ours",
    ),
    Fault(
        "stalled-body", "GetObject sends half of the bytes and then nothing: clients run into their time-out",
        "https://github.com/treeverse/dvc/issues/5051", "client",
    ),
]  # fmt: skip

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _LIST}

_PREFIX = "fault:"
_BODY_DAMAGE = {"short-body": "short", "corrupt-body": "corrupt", "stalled-body": "stalled"}
# What is refused on a closed public endpoint; managing buckets goes on working.
# Source: https://github.com/bramburn/qalos (AGENTS.md 5.4.2: mb, stat and get-acl work; cp and ls do not)
_DATA_ON_BUCKETS = ("ListObject", "ListMultipartUploads", "DeleteMultipleObjects", "DeleteObjects")


class Faults:
    """The switches, and what each service asks of them. Belongs to `Knobs`; the values live in its table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, Saved] | None = None
        self._account: dict[str, str] = {}

    # -- switches ----------------------------------------------------------------------------------------------

    def _active(self) -> dict[str, Saved]:
        if self._cache is None:
            rows = self._store.all("SELECT * FROM knobs WHERE name LIKE 'fault:%'")
            self._cache = {row["name"].removeprefix(_PREFIX): json.loads(row["value"]) for row in rows}
        return self._cache

    def forget(self) -> None:
        """Read the switches anew at the next look (after a reset)."""
        self._cache = None
        self._account = {}

    def on(self, name: str, instance_id: str = "") -> bool:
        """Tell whether a fault is on (for this instance)."""
        held = self._active().get(name)
        if held is None:
            return False
        return not held["instances"] or instance_id in held["instances"]

    def names(self) -> list[str]:
        """Return the names of the faults that are on."""
        return [name for name in FAULTS if name in self._active()]

    def all(self) -> list[dict[str, Any]]:
        """Return every fault: name, meaning, source, basis, whether it is on, and for which instances."""
        active = self._active()
        return [
            {
                "name": fault.name,
                "meaning": fault.meaning,
                "source": fault.source,
                "basis": fault.basis,
                "by_instance": fault.by_instance,
                "on": fault.name in active,
                "instances": active.get(fault.name, {}).get("instances", []),
            }
            for fault in FAULTS.values()
        ]

    def set(self, name: str, on: bool, instances: Iterable[str] = ()) -> None:
        """Switch a fault. `instances`: ids or names, for faults that can be of one instance; none: all.

        Raises InputError on a name that is not known, and where a fault cannot be of one instance.
        """
        fault = FAULTS.get(name)
        if fault is None:
            raise InputError(
                f"There is no fault {name!r}.{nearest(name, FAULTS)}",
                next_step="see them: ramrole sandbox fault list",
            )
        wanted = tuple(self._instance_id(i) for i in instances)
        if wanted and not fault.by_instance:
            raise InputError(
                f"The fault {name} is not one of an instance.", next_step="leave the instance out"
            )
        held = self._active().get(name)
        with self._store.transaction():
            if held is not None:  # off first, also where it is switched on for other instances
                if fault.mend is not None:
                    fault.mend(self._store, held["saved"])
                self._store.run("DELETE FROM knobs WHERE name=?", _PREFIX + name)
            if on:
                saved = fault.place(self._store, wanted) if fault.place is not None else {}
                value = dumps({"instances": list(wanted), "saved": saved})
                self._store.run("INSERT INTO knobs VALUES (?, ?)", _PREFIX + name, value)
        self._cache = None
        self._store.permissions_changed()

    def _instance_id(self, wanted: str) -> str:
        rows = self._store.all("SELECT instance_id, facts FROM instances")
        names = {row["instance_id"]: json.loads(row["facts"])["name"] for row in rows}
        for instance_id, name in names.items():
            if wanted in (instance_id, name):
                return str(instance_id)
        raise InputError(
            f"There is no instance {wanted!r} in the sandbox.{nearest(str(wanted), [*names.values(), *names])}",
            next_step=f"its instances: {', '.join(names.values())}",
        )

    # -- the account -------------------------------------------------------------------------------------------

    def account(self, name: str) -> str:
        """Return a property of the account (see worlds)."""
        if name not in self._account:
            self._account[name] = self._store.get_meta(f"account.{name}")
        return self._account[name]

    # -- what services ask -------------------------------------------------------------------------------------

    async def before_imds(self, ex: Exchange, path: str) -> None:
        """Refuse, or keep waiting, a metadata request."""
        if not self._active():
            return

        def on(name: str) -> bool:
            if not self.on(name, ex.instance_id):
                return False
            ex.note(fault=name)
            return True

        if on("imds-hangs"):
            await asyncio.sleep(_HANG_SECONDS)
            raise ImdsError(504, "Gateway Timeout", why="fault imds-hangs")
        if on("imds-throttled"):
            raise ImdsError(429, "Too Many Requests", why="fault imds-throttled")
        if path == "/latest/api/token":
            if on("imds-token-fails"):
                raise ImdsError(500, "Internal Server Error", why="fault imds-token-fails")
            if on("imds-token-forbidden"):
                raise ImdsError(403, "Forbidden", why="fault imds-token-forbidden")
            if on("token-endpoint-405"):
                raise ImdsError(405, "Method Not Allowed", why="fault token-endpoint-405")
        elif "/security-credentials/" in path and path.rpartition("/")[2] and on("imds-500-on-credentials"):
            raise ImdsError(500, "Internal Server Error", why="fault imds-500-on-credentials")

    def before_openapi(self, ex: Exchange, product: str, knobs: Mapping[str, float | bool | None]) -> None:
        """Refuse an authenticated OpenAPI call."""
        if not self._active():
            return

        def refuse(fault: str, status: int, code: str, message: str) -> NoReturn:
            ex.note(fault=fault)
            raise OpenApiError(status, code, message, headers=retry_after(knobs) if status == 400 else {})

        temporary = "The request has failed due to a temporary failure of the server."
        if self.on("throttling"):
            refuse("throttling", 400, "Throttling.User", "Request was denied due to user flow control.")
        if self.on("openapi-500"):
            refuse("openapi-500", 500, "InternalError", "An internal error occurred.")
        if self.on("openapi-503"):
            refuse("openapi-503", 503, "ServiceUnavailable", temporary)
        if product == "Ram" and self.on("ram-inactive"):
            refuse("ram-inactive", 403, "Inactive", "Your ram service is inactive, please activate it.")

    def after_openapi(self, ex: Exchange, operation: str, answer: Answer) -> Answer:
        """Spoil the answer of a call that was done."""
        if operation in ("AttachInstanceRamRole", "DetachInstanceRamRole") and self.on("empty-reply"):
            ex.note(fault="empty-reply")
            return replace(answer, body=b"")
        return answer

    def refuse_v1(self, ex: Exchange) -> None:
        """Refuse an OSS request for being signed with V1, where the account or a fault says so.

        The page of this EC states status and cause, and neither code nor message: those are ours.
        Source: https://help.aliyun.com/en/oss/user-guide/0002-00000080
        """
        if self.on("signature-v1-refused"):
            ex.note(fault="signature-v1-refused")
        elif self.account("oss_signature_v1") != "refused":
            return
        raise OssError(
            403,
            "AccessDenied",
            "Signature version V1 is not supported for this account or bucket, please use signature version V4.",
            ec="0002-00000080",
        )

    def before_oss(self, ex: Exchange, operation: str, address: Any) -> None:
        """Refuse an authenticated OSS request."""
        if self.on("oss-500"):
            ex.note(fault="oss-500")
            raise OssError(500, "InternalError", "We encountered an internal error. Please try again.")
        if self.on("oss-503"):
            ex.note(fault="oss-503")
            raise OssError(503, "ServiceUnavailable", "Please reduce your request rate.")
        mainland = address.region_id.startswith("cn-") and address.region_id != "cn-hongkong"
        if not mainland or address.internal or not (address.key or operation.startswith(_DATA_ON_BUCKETS)):
            return
        if self.on("public-endpoint-forbidden"):
            ex.note(fault="public-endpoint-forbidden")
        elif self.account("oss_public_endpoint") != "mainland-closed":
            return
        # The message as a user saw it: https://github.com/bramburn/qalos (AGENTS.md 5.4.2).
        raise OssError(
            400,
            "PublicEndpointForbidden",
            "Not allowed using the OSS public endpoint, please use CNAME instead.",
            ec="0048-00000401",
        )

    def after_oss(self, ex: Exchange, operation: str, answer: Answer) -> Answer:
        """Damage the body of a GetObject."""
        if operation != "GetObject" or not self._active() or not isinstance(answer.body, FileBody):
            return answer
        if self.on("empty-body"):
            ex.note(fault="empty-body")
            return replace(answer, body=b"")
        for name, damage in _BODY_DAMAGE.items():
            if self.on(name):
                ex.note(fault=name)
                return replace(answer, body=replace(answer.body, damage=damage))
        return answer


def retry_after(knobs: Mapping[str, float | bool | None]) -> dict[str, str]:
    """Return the header of a throttled answer, where the knob asks for it.

    Source: alibabacloud_tea_openapi (a positive x-acs-retry-after makes it a ThrottlingException).
    """
    seconds = knobs.get("throttle_retry_after")
    return {"x-acs-retry-after": str(max(1, round(seconds)))} if seconds else {}


async def send_damaged(request: web.BaseRequest, stream: web.StreamResponse, body: FileBody) -> None:
    """Send a file's body with the damage it names; the headers promise a whole one."""
    whole = body.damage == "corrupt"
    left, spoil_at = (body.count if whole else body.count // 2), body.count // 2
    await stream.prepare(request)
    with open(body.path, "rb") as file:  # noqa: ASYNC230 - local, and small pieces
        file.seek(body.offset)
        sent = 0
        while left > 0 and (piece := bytearray(file.read(min(left, 64 * 1024)))):
            if whole and sent <= spoil_at < sent + len(piece):
                piece[spoil_at - sent] ^= 0x01
            await stream.write(bytes(piece))
            sent += len(piece)
            left -= len(piece)
    if body.damage == "stalled":
        await asyncio.sleep(_HANG_SECONDS)
    if whole:
        await stream.write_eof()
    elif request.transport is not None:
        request.transport.close()
