"""The instance metadata service at 100.100.100.200: tokens, the metadata tree, the role's credentials.

Sources: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata (paths, token, 400/401/403),
https://github.com/aliyun/aliyun-cli/issues/525 (404 page), https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
(credentials, lifetime of six hours in its sample).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import struct
import time
from typing import Any
from urllib.parse import unquote

from ...policy import trusts_service
from ..answers import Answer, imds_page
from ..errors import ImdsError
from ..exchange import Exchange
from ..issued import new_access_key_id, new_secret, new_security_token, report
from ..knobs import Knobs
from ..store import Store

__all__ = ["MetadataService"]

TOKEN_HEADER = "x-aliyun-ecs-metadata-token"  # noqa: S105 - a header's name
TTL_HEADER = "x-aliyun-ecs-metadata-token-ttl-seconds"
MAX_TTL = 21_600

_CREDENTIALS = re.compile(r"/latest/meta-data/[Rr]am/security-credentials(?:/(?P<role>[^/]*))?")
# 'Ram' too: ossutil 1.x spells it so (https://github.com/aliyun/ossutil, lib/command.go).


class MetadataService:
    """Answers for the instance an exchange comes from."""

    def __init__(self, store: Store, knobs: Knobs) -> None:
        self._store = store
        self._knobs = knobs

    async def answer(self, ex: Exchange) -> Answer:
        """Answer one metadata request."""
        ex.service = "IMDS"
        try:
            delay = self._knobs.number("metadata_delay")
            if delay:
                await asyncio.sleep(delay)
            row = self._store.one("SELECT * FROM instances WHERE instance_id=?", ex.instance_id)
            if row is None:
                raise ImdsError(404, "Not Found", why="no such instance")
            if row["http_endpoint"] != "enabled":
                # Ours: what the cloud answers then is not documented.
                raise ImdsError(403, "Forbidden", why="metadata is disabled: HttpEndpoint=disabled")
            path = unquote(ex.path)
            await self._knobs.faults.before_imds(ex, path)
            if path == "/latest/api/token":
                return self._token(ex, row)
            if ex.method not in ("GET", "HEAD"):
                raise ImdsError(405, "Method Not Allowed", why="metadata is read with GET")
            found = _CREDENTIALS.fullmatch(path)
            ex.note(
                operation="GetMetadata"
                if not found
                else "GetRoleCredentials"
                if found["role"]
                else "ListRole"
            )
            self._check_token(ex, row)
            if found:
                return self._credentials(ex, row, found["role"] or "")
            return self._tree(row, path)
        except ImdsError as error:
            ex.note(error=f"{error.status} {error.message}", message=error.why)
            return imds_page(error)

    # -- tokens ----------------------------------------------------------------------------------------------

    def _token(self, ex: Exchange, row: sqlite3.Row) -> Answer:
        ex.note(operation="PutToken")
        if ex.method != "PUT":
            raise ImdsError(405, "Method Not Allowed", why="a token is asked for with PUT")
        if "x-forwarded-for" in ex.headers:
            raise ImdsError(403, "Forbidden", why="the request was forwarded: X-Forwarded-For")
        if self._knobs.on("metadata_token_fails"):
            raise ImdsError(500, "Internal Server Error", why="knob metadata_token_fails")
        ttl = ex.headers.get(TTL_HEADER, "").strip()
        if not re.fullmatch(r"[0-9]{1,6}", ttl) or not 1 <= int(ttl) <= MAX_TTL:
            raise ImdsError(
                400, "Missing or Invalid Parameters", why=f"the TTL must be 1 to {MAX_TTL}: {ttl!r}"
            )
        return Answer(200, self._make_token(row["instance_id"], int(ttl)).encode(), "text/plain")

    def _make_token(self, instance_id: str, ttl: int) -> str:
        """Make a token that says, sealed, whose it is and until when; so there is nothing to keep."""
        claim = struct.pack(">d", time.time() + ttl) + secrets.token_bytes(8)
        seal = hmac.digest(self._token_key(), instance_id.encode() + claim, "sha256")
        return report(base64.urlsafe_b64encode(claim + seal).decode().rstrip("="))

    def _token_key(self) -> bytes:
        return hashlib.sha256(self._store.get_meta("token_key").encode()).digest()

    def _check_token(self, ex: Exchange, row: sqlite3.Row) -> None:
        token = ex.headers.get(TOKEN_HEADER)
        ex.note(mode="normal" if token is None else "security hardening")
        if token is None:
            if row["http_tokens"] == "required":
                raise ImdsError(403, "Forbidden", why="no token, and HttpTokens=required")
            return
        try:
            # Strictly: otherwise characters that do not belong would be skipped, and a changed token be as good.
            raw = base64.b64decode(token.strip().encode(), b"-_", validate=True)
        except ValueError:
            raw = b""
        claim, seal = raw[:16], raw[16:]
        good = hmac.digest(self._token_key(), ex.instance_id.encode() + claim, "sha256")
        if len(raw) != 48 or not hmac.compare_digest(seal, good):
            raise ImdsError(401, "Unauthorized", why="a token this instance was not given")
        if struct.unpack(">d", claim[:8])[0] <= time.time():
            raise ImdsError(401, "Unauthorized", why="the token has expired")

    # -- credentials -----------------------------------------------------------------------------------------

    def _credentials(self, ex: Exchange, row: sqlite3.Row, role_name: str) -> Answer:
        held = self._store.one("SELECT * FROM instance_roles WHERE instance_id=?", row["instance_id"])
        if held is None or not self._knobs.shows(held["attached"]):
            why = "the instance has no RAM role" if held is None else "the role attached does not show yet"
            raise ImdsError(404, "Not Found", why=why)
        if not role_name:
            # No newline: the Python SDK uses the body as it is.
            return Answer(200, held["role_name"].encode(), "text/plain")
        if role_name != held["role_name"]:
            raise ImdsError(
                404, "Not Found", why=f"the attached role is {held['role_name']!r}, not {role_name!r}"
            )
        role = self._store.one("SELECT * FROM roles WHERE name=?", role_name)
        if role is None:
            raise ImdsError(404, "Not Found", why="the attached role was deleted")
        if not trusts_service(role["trust_policy"], "ecs.aliyuncs.com"):
            # Ours: a Code other than Success, which is what clients are written to refuse.
            body = {
                "Code": "AssumeRoleUnauthorizedAccess",
                "Message": "ECS cannot assume the role. The role's trust policy does not name ecs.aliyuncs.com.",
                "LastUpdated": _iso(time.time()),
            }
            ex.note(error=body["Code"], message=body["Message"])
            return _json(body)
        session = self._current_session(row["instance_id"], held, role)
        ex.note(issued_access_key_id=session["access_key_id"])
        token, expires = session["token"], session["expires"]
        if self._knobs.faults.on("credentials-mixed", row["instance_id"]):
            ex.note(fault="credentials-mixed")
            token = self._other_token(row["instance_id"], held, role, session["access_key_id"])
        if self._knobs.faults.on("credentials-expired"):
            ex.note(fault="credentials-expired")
            expires = min(expires, time.time() - 60)
        return _json(
            {
                "AccessKeyId": session["access_key_id"],
                "AccessKeySecret": session["secret"],
                "Expiration": _iso(expires),
                "SecurityToken": token,
                "LastUpdated": _iso(session["issued"]),
                "Code": "Success",
            }
        )

    def _rotates_at(self, current: sqlite3.Row) -> float:
        """Return when a new credential is due: as it was issued, or sooner where the knob was turned down since."""
        session = self._store.one(
            "SELECT issued FROM sts_sessions WHERE access_key_id=?", current["access_key_id"]
        )
        by_knob = session["issued"] + self._knobs.credential_rotation if session else 0.0
        return min(float(current["rotate_at"]), by_knob)

    def _current_session(self, instance_id: str, held: sqlite3.Row, role: sqlite3.Row) -> sqlite3.Row:
        """Return the credential served now: the same one until it is time to rotate."""
        store, now = self._store, time.time()
        current = store.one("SELECT * FROM instance_credentials WHERE instance_id=?", instance_id)
        if (
            current is None
            or current["attachment_id"] != held["attachment_id"]
            or current["role_id"] != role["role_id"]
            or now >= self._rotates_at(current)
        ):
            with store.transaction():
                access_key_id = self._new_session(instance_id, held, role)
                store.run(
                    "INSERT OR REPLACE INTO instance_credentials VALUES (?, ?, ?, ?, ?)",
                    instance_id,
                    held["attachment_id"],
                    role["role_id"],
                    access_key_id,
                    now + self._knobs.credential_rotation,
                )
        else:
            access_key_id = current["access_key_id"]
        session = store.one("SELECT * FROM sts_sessions WHERE access_key_id=?", access_key_id)
        if session is None:  # forgotten a day after it expired, and never rotated since
            store.run("DELETE FROM instance_credentials WHERE instance_id=?", instance_id)
            return self._current_session(instance_id, held, role)
        return session

    def _new_session(self, instance_id: str, held: sqlite3.Row, role: sqlite3.Row) -> str:
        """Make a session of the instance's role; return its access key id."""
        access_key_id, now = new_access_key_id("STS."), time.time()
        self._store.run(
            "INSERT INTO sts_sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            access_key_id,
            new_secret(),
            new_security_token(),
            role["role_id"],
            role["name"],
            f"vm-ram-{instance_id}",
            held["session_policy"],
            now,
            now + self._knobs.credential_lifetime,
        )
        return access_key_id

    def _other_token(self, instance_id: str, held: sqlite3.Row, role: sqlite3.Row, access_key_id: str) -> str:
        """Return the token of another session of the same role (the generation before, where there was one)."""
        sql = (
            "SELECT token FROM sts_sessions WHERE role_id=? AND access_key_id!=? ORDER BY issued DESC LIMIT 1"
        )
        found = self._store.one(sql, role["role_id"], access_key_id)
        if found is None:
            self._new_session(instance_id, held, role)
            return self._other_token(instance_id, held, role, access_key_id)
        return str(found["token"])

    # -- the rest of the tree --------------------------------------------------------------------------------

    def _tree(self, row: sqlite3.Row, path: str) -> Answer:
        node: Any = self._everything(row)
        for name in [part for part in path.split("/") if part]:
            if not isinstance(node, dict) or name not in node:
                raise ImdsError(404, "Not Found", why="no such metadata item")
            node = node[name]
        if isinstance(node, dict):
            names = [f"{k}/" if isinstance(v, dict) else k for k, v in node.items()]
            return Answer(200, "\n".join(names).encode(), "text/plain")
        return Answer(200, str(node).encode(), "text/plain")

    def _everything(self, row: sqlite3.Row) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(row["facts"])
        held = self._store.one(
            "SELECT role_name, attached FROM instance_roles WHERE instance_id=?", row["instance_id"]
        )
        account = self._store.account_id
        identity = {
            "zone-id": known["zone_id"],
            "serial-number": known["serial_number"],
            "instance-id": row["instance_id"],
            "region-id": row["region_id"],
            "private-ipv4": known["private_ip"],
            "owner-account-id": account,
            "mac": known["mac"],
            "image-id": known["image_id"],
            "instance-type": known["instance_type"],
        }
        tree: dict[str, Any] = {
            "dns-conf": {"nameservers": "100.100.2.136\n100.100.2.138"},
            "hostname": known["hostname"],
            "image-id": known["image_id"],
            "instance-id": row["instance_id"],
            "instance": {
                "instance-name": known["name"],
                "instance-type": known["instance_type"],
                "virtualization-solution": "ECS Virt",
                "virtualization-solution-version": "2.0",
            },
            "mac": known["mac"],
            "network-type": known["network_type"],
            "network": {
                "interfaces": {
                    "macs": {
                        known["mac"]: {
                            "network-interface-id": known["network_interface_id"],
                            "primary-ip-address": known["private_ip"],
                            "vpc-id": known["vpc_id"],
                            "vswitch-id": known["vswitch_id"],
                        }
                    }
                }
            },
            "ntp-conf": {"ntp-servers": "ntp1.aliyun.com\nntp2.aliyun.com"},
            "owner-account-id": account,
            "private-ipv4": known["private_ip"],
            "region-id": row["region_id"],
            "serial-number": known["serial_number"],
            "source-address": "http://mirrors.cloud.aliyuncs.com",
            "vpc-cidr-block": "192.168.0.0/16",
            "vpc-id": known["vpc_id"],
            "vswitch-cidr-block": "192.168.0.0/24",
            "vswitch-id": known["vswitch_id"],
            "zone-id": known["zone_id"],
        }
        if known["public_ip"]:
            tree["public-ipv4"] = known["public_ip"]
        if held is not None and self._knobs.shows(held["attached"]):
            tree["ram"] = {"security-credentials": {held["role_name"]: ""}}
        if row["metadata_tags"] == "enabled":
            tree["tags"] = {"instance": known["tags"]}
        return {
            "latest": {
                "dynamic": {"instance-identity": {"document": json.dumps(identity)}},
                "maintenance": {"active-system-events": "[]"},
                "meta-data": tree,
                "user-data": known.get("user_data", ""),
            }
        }


def _iso(seconds: float) -> str:
    # No fraction: the Python SDK's parser takes no other form.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _json(body: dict[str, str]) -> Answer:
    return Answer(200, json.dumps(body, indent=2).encode(), "text/plain")
