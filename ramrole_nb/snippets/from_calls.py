"""From the calls just made to what was done: so that any route to it, a click or a typed cell, has its code.

Calls are read as `cloud.wire` records them: a service, an action, and the parameters as text under the SDK's names. Failed
calls did nothing and are left out; so are look-ups, and calls that no action stands for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote

from ..errors import InputError
from . import actions as do
from .view import CodeView, show

__all__ = ["UNKNOWN_ROLE", "Call", "actions_from", "last_code"]

#: Stands in the code where the calls do not tell the role's name: a detach needs none.
UNKNOWN_ROLE = "NAME-OF-THE-ROLE"

_CREDENTIALS = "GET meta-data/ram/security-credentials/"
_TOKEN_HEADER = "x-aliyun-ecs-metadata-token"  # noqa: S105 - a header's name


class Call(Protocol):
    """A recorded call.

    `ok`: the service did it; `check`: it only looked something up before a change; `caller`: who signed.
    """

    @property
    def service(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def ok(self) -> bool: ...
    @property
    def check(self) -> bool: ...
    @property
    def caller(self) -> str: ...


def actions_from(calls: Iterable[Call]) -> list[do.Action]:
    """Return what the calls did, oldest first.

    Creating a policy and granting it at once is one action (`GrantDocument`); so is a detach directly followed by an
    attach on the same instance (`ReplaceRole`).
    """
    found = _Reader()
    for call in calls:
        if call.ok and not call.check:
            found.read(call)
    return found.actions


def last_code(calls: Iterable[Call]) -> CodeView:
    """Return the code of the last thing done: `last_code(cloud.wire.since())`. Raises InputError if nothing was done."""
    actions = actions_from(calls)
    if not actions:
        raise InputError(
            "Nothing was done yet, so there is no code to show.",
            reason="looking something up and what a service refused do not count",
            next_step="do something first, for example cloud.roles.create(name)",
        )
    return show(actions[-1])


class _Reader:
    """Turns calls into actions, one after the other."""

    def __init__(self) -> None:
        self.actions: list[do.Action] = []
        self._roles: dict[str, str] = {}  # instance id -> the role it was last given

    def read(self, call: Call) -> None:
        kind = f"{call.service} {call.action}"
        read = _READERS.get(kind)
        if kind.startswith(f"IMDS {_CREDENTIALS}"):
            read = _Reader.fetched
        if read is None:
            return
        try:
            read(self, call)
        except (KeyError, ValueError):  # recorded by someone else in another form: no code for it
            return

    # -- Ram ---------------------------------------------------------------------------------------------------

    def created_role(self, call: Call) -> None:
        told = call.params
        self._add(
            do.CreateRole(told["role_name"], told["assume_role_policy_document"], told.get("description", ""))
        )

    def updated_role(self, call: Call) -> None:
        self._add(do.SetTrust(call.params["role_name"], call.params["new_assume_role_policy_document"]))

    def created_policy(self, call: Call) -> None:
        self._add(do.CreatePolicy(call.params["policy_name"], call.params["policy_document"]))

    def granted(self, call: Call) -> None:
        role, policy, kind = (call.params[name] for name in ("role_name", "policy_name", "policy_type"))
        last = self._last()
        if isinstance(last, do.CreatePolicy) and kind == do.CUSTOM and last.name == policy:
            self.actions[-1] = do.GrantDocument(role, policy, last.document)
        else:
            self._add(do.GrantPolicy(role, policy, kind))

    def revoked(self, call: Call) -> None:
        told = call.params
        self._add(do.RevokePolicy(told["role_name"], told["policy_name"], told["policy_type"]))

    def deleted_role(self, call: Call) -> None:
        self._add(do.DeleteRole(call.params["role_name"]))

    def deleted_policy(self, call: Call) -> None:
        self._add(do.DeletePolicy(call.params["policy_name"]))

    # -- Ecs ---------------------------------------------------------------------------------------------------

    def attached(self, call: Call) -> None:
        told = call.params
        role, region, ids = told["ram_role_name"], told["region_id"], _ids(told)
        narrowed = str(told.get("policy", "") or "")
        last = self._last()
        replaces = (
            isinstance(last, do.DetachRole)
            and (last.instance_ids, last.region_id) == (ids, region)
            and len(ids) == 1
            and last.role != role
            and not narrowed
        )
        if replaces and isinstance(last, do.DetachRole):
            self.actions[-1] = do.ReplaceRole(last.role, role, region, ids[0])
        else:
            self._add(do.AttachRole(role, region, ids, narrowed))
        self._roles.update(dict.fromkeys(ids, role))

    def detached(self, call: Call) -> None:
        told = call.params
        by_role: dict[str, list[str]] = {}
        for instance_id in _ids(told):
            held = told.get("ram_role_name") or self._roles.pop(instance_id, UNKNOWN_ROLE)
            by_role.setdefault(str(held), []).append(instance_id)
        for role, ids in by_role.items():
            self._add(do.DetachRole(role, told["region_id"], tuple(ids)))

    def hardened(self, call: Call) -> None:
        told = call.params
        self._add(do.SetHardening(told["instance_id"], told["region_id"], told["http_tokens"] == "required"))

    # -- on the instance, and Oss --------------------------------------------------------------------------------

    def fetched(self, call: Call) -> None:
        role = unquote(call.action.removeprefix(_CREDENTIALS))
        if not role:  # it only asked which role there is
            return
        with_token = any(name.lower() == _TOKEN_HEADER for name in call.params)
        mode = do.HARDENED if with_token else do.NORMAL
        self._add(do.FetchCredentials(role, call.params["instance_id"], mode))

    def listed(self, call: Call) -> None:
        told = call.params
        action = do.ListObjects(
            told["bucket"], told["region_id"], told.get("prefix", ""), _internal(told), _own(call)
        )
        if self._last() != action:  # a listing of several pages is one
            self._add(action)

    def downloaded(self, call: Call) -> None:
        told = call.params
        where = told["bucket"], told["key"], told["region_id"]
        self._add(do.DownloadObject(*where, _internal(told), own_key=_own(call)))

    def _add(self, action: do.Action) -> None:
        self.actions.append(action)

    def _last(self) -> do.Action | None:
        return self.actions[-1] if self.actions else None


_READERS: dict[str, Callable[[_Reader, Call], None]] = {
    "Ram CreateRole": _Reader.created_role,
    "Ram UpdateRole": _Reader.updated_role,
    "Ram CreatePolicy": _Reader.created_policy,
    "Ram AttachPolicyToRole": _Reader.granted,
    "Ram DetachPolicyFromRole": _Reader.revoked,
    "Ram DeleteRole": _Reader.deleted_role,
    "Ram DeletePolicy": _Reader.deleted_policy,
    "Ecs AttachInstanceRamRole": _Reader.attached,
    "Ecs DetachInstanceRamRole": _Reader.detached,
    "Ecs ModifyInstanceMetadataOptions": _Reader.hardened,
    "Oss ListObjectsV2": _Reader.listed,
    "Oss GetObject": _Reader.downloaded,
}


def _own(call: Call) -> bool:
    """Tell whether the session's own key signed, and not an instance's role."""
    return not call.caller.startswith("role on ")


def _ids(told: Mapping[str, Any]) -> tuple[str, ...]:
    found = json.loads(told["instance_ids"])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("no list of instance ids")
    return tuple(found)


def _internal(told: Mapping[str, Any]) -> bool:
    return str(told.get("internal", "")) == "True"
