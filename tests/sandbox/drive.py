"""Driving a sandbox with the official SDKs and curl: programs we did not write.

`Drive` makes clients for any caller: a user of the world by name, or the credential of an instance.
"""

from __future__ import annotations

import json
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oss2
import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ram20150501 import models as rm
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from ramrole_nb.sandbox import Sandbox

__all__ = [
    "ECS_TRUST",
    "IMDS",
    "READ_OSS",
    "WEB",
    "Answer",
    "Caller",
    "Drive",
    "contract",
    "curl",
    "demo",
    "document",
    "refused",
    "same_shape",
    "xml",
]

IMDS = "http://100.100.100.200"
TOKEN = "X-aliyun-ecs-metadata-token"
ROLE_URL = f"{IMDS}/latest/meta-data/ram/security-credentials"

# The trust policy and the custom policy of the page. Source: ../shared/seed, "Creation via API and granting".
ECS_TRUST = json.dumps(
    {
        "Statement": [
            {
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": ["ecs.aliyuncs.com"]},
            }
        ],
        "Version": "1",
    }
)
READ_OSS = json.dumps(
    {
        "Statement": [{"Action": ["oss:Get*", "oss:List*"], "Effect": "Allow", "Resource": "*"}],
        "Version": "1",
    }
)

WEB, WEB2, HARDENED, WINDOWS = (f"i-2zesandbox{name}" for name in ("web1", "web2", "hardened1", "windows1"))
BATCH, BATCH2, CLASSIC, STOPPED = (
    f"i-bp1sandbox{name}" for name in ("batch1", "batch2", "classic1", "stopped1")
)

_CONTRACT = Path(__file__).parents[1] / "data" / "contract.json"


def document(*statements: Mapping[str, Any] | tuple[str, Any, Any]) -> str:
    """A policy: statements, or (effect, action, resource)."""
    made = [
        {"Effect": s[0], "Action": s[1], "Resource": s[2]} if isinstance(s, tuple) else dict(s)
        for s in statements
    ]
    return json.dumps({"Version": "1", "Statement": made})


@dataclass(frozen=True)
class Caller:
    """Whose keys sign a request."""

    key_id: str
    secret: str
    token: str = ""


@dataclass(frozen=True)
class Answer:
    """What curl received. Header names are lower case; a repeated header keeps all values."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, name: str) -> str:
        """The one value of a header."""
        values = self.headers[name.lower()]
        assert len(values) == 1, f"{name} is there {len(values)} times"
        return values[0]


def curl(*args: str, proxy: str = "", data: bytes | None = None) -> Answer:
    """Run curl; with `proxy`, through that proxy and no other."""
    command = ["curl", "-sS", "-i", "--max-time", "20", "--noproxy", "" if proxy else "*"]
    command += ["-x", proxy] if proxy else []
    done = subprocess.run([*command, *args], input=data, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return Answer(int(status.split()[1]), headers, body)


def xml(text: bytes | str) -> ET.Element:
    """Parse XML that the sandbox answered."""
    return ET.fromstring(text)  # noqa: S314 - our own server's


def refused(
    call: Callable[[], object], status: int, code: str, message: str | None = None
) -> ClientException:
    """Run a call of an OpenAPI SDK that must be refused, and check its status, code, message and shape.

    facts/signing.md §5 states the shape and §7 how the SDK rewrites the message.
    """
    with pytest.raises(ClientException) as caught:
        call()
    error = caught.value
    assert (error.status_code, error.code) == (status, code), error.message
    data = error.data
    assert {"RequestId", "HostId", "Code", "Message", "Recommend"} <= set(data)
    assert data["Code"] == code
    if message is not None:
        assert data["Message"] == message
    assert error.message == f"code: {status}, {data['Message']} request id: {data['RequestId']}"
    return error


def contract(service: str, operation: str) -> Any:
    """The vendor's API metadata of an operation: `demo`, `parameters`, `errors` (code: status and message)."""
    found = json.loads(_CONTRACT.read_text(encoding="utf-8"))
    return found[service][operation]


def demo(service: str, operation: str) -> Any:
    """The documented sample answer of an operation."""
    return contract(service, operation)["demo"]


def same_shape(sample: Any, given: Any, *, where: str = "", without: Sequence[str] = ()) -> None:
    """Assert that `given` has every field of the sample, of its type; `without`: paths the sandbox leaves out."""
    if where in without:
        return
    if isinstance(sample, Mapping):
        assert isinstance(given, Mapping), f"{where}: not an object"
        for name, value in sample.items():
            path = f"{where}.{name}".lstrip(".")
            if path in without:
                continue
            assert name in given, f"{path} is missing"
            same_shape(value, given[name], where=path, without=without)
    elif isinstance(sample, list):
        assert isinstance(given, list), f"{where}: not a list"
        if sample and given:
            same_shape(sample[0], given[0], where=where, without=without)
    else:
        assert type(given) is type(sample), f"{where}: {given!r} is not like {sample!r}"


class Drive:
    """Clients of one sandbox, made once per caller."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.url = sandbox.url
        line = sandbox.start_line
        self.account: str = line["account_id"]
        self.users = {u["name"]: Caller(u["access_key_id"], u["access_key_secret"]) for u in line["users"]}
        self.proxies: dict[str, str] = {i["instance_id"]: i["proxy_url"] for i in line["instances"]}
        self._clients: dict[tuple[type, Caller, str], Any] = {}

    def caller(self, who: str | Caller) -> Caller:
        return self.users[who] if isinstance(who, str) else who

    def config(self, who: str | Caller, endpoint: str, **more: Any) -> Config:
        caller = self.caller(who)
        return Config(
            access_key_id=caller.key_id,
            access_key_secret=caller.secret,
            security_token=caller.token or None,
            endpoint=endpoint,
            protocol="http",
            http_proxy=self.url,
            **more,
        )

    def _client(self, kind: type, who: str | Caller, endpoint: str) -> Any:
        key = (kind, self.caller(who), endpoint)
        if key not in self._clients:
            self._clients[key] = kind(self.config(who, endpoint))
        return self._clients[key]

    def ram(self, who: str | Caller = "admin") -> Any:
        return self._client(Ram, who, "ram.aliyuncs.com")

    def ecs(self, who: str | Caller = "admin", region: str = "cn-beijing") -> Any:
        return self._client(Ecs, who, f"ecs.{region}.aliyuncs.com")

    def sts(self, who: str | Caller = "admin") -> Any:
        return self._client(Sts, who, "sts.cn-beijing.aliyuncs.com")

    def bucket(
        self,
        who: str | Caller = "admin",
        name: str = "sandbox-photos",
        *,
        version: str = "v4",
        region: str = "cn-beijing",
        path_style: bool = False,
        **more: Any,
    ) -> Any:
        """An `oss2.Bucket`: virtual-host style through the sandbox as proxy, or path style at its own address."""
        caller = self.caller(who)
        if caller.token:
            auth = oss2.StsAuth(caller.key_id, caller.secret, caller.token, auth_version=version)
        else:
            auth = oss2.make_auth(caller.key_id, caller.secret, version)
        endpoint = self.url if path_style else f"http://oss-{region}.aliyuncs.com"
        proxies = {"http": ""} if path_style else {"http": self.url}
        return oss2.Bucket(auth, endpoint, name, region=region, proxies=proxies, **more)

    def service(self, who: str | Caller = "admin", *, version: str = "v4") -> Any:
        caller = self.caller(who)
        if caller.token:
            auth = oss2.StsAuth(caller.key_id, caller.secret, caller.token, auth_version=version)
        else:
            auth = oss2.make_auth(caller.key_id, caller.secret, version)
        return oss2.Service(
            auth, "http://oss-cn-beijing.aliyuncs.com", region="cn-beijing", proxies={"http": self.url}
        )

    # -- roles and instances ---------------------------------------------------------------------------------

    def make_role(self, name: str = "EcsRamRole", *policies: str, trust: str = ECS_TRUST) -> None:
        """Create a role with policies: names of system policies, or documents (then custom ones are made)."""
        self.ram().create_role(rm.CreateRoleRequest(role_name=name, assume_role_policy_document=trust))
        for number, policy in enumerate(policies):
            self.grant(name, policy, f"{name.replace('.', '-')}-{number}")

    def make_role_as(self, who: str | Caller, name: str) -> None:
        """Try to create a role as somebody."""
        self.ram(who).create_role(rm.CreateRoleRequest(role_name=name, assume_role_policy_document=ECS_TRUST))

    def grant(self, role: str, policy: str, custom_name: str = "") -> None:
        kind = "System"
        if policy.startswith("{"):
            kind, text, policy = "Custom", policy, custom_name or f"{role}-extra"
            self.ram().create_policy(rm.CreatePolicyRequest(policy_name=policy, policy_document=text))
        self.ram().attach_policy_to_role(
            rm.AttachPolicyToRoleRequest(policy_type=kind, policy_name=policy, role_name=role)
        )

    def attach(
        self,
        instance: str = WEB,
        role: str = "EcsRamRole",
        *,
        policy: str | None = None,
        who: str | Caller = "admin",
    ) -> dict[str, Any]:
        region = region_of(instance)
        answer = self.ecs(who, region).attach_instance_ram_role(
            em.AttachInstanceRamRoleRequest(
                region_id=region, ram_role_name=role, instance_ids=json.dumps([instance]), policy=policy
            )
        )
        body: dict[str, Any] = answer.body.to_map()
        return body

    def detach(
        self, instance: str = WEB, role: str | None = None, *, who: str | Caller = "admin"
    ) -> dict[str, Any]:
        region = region_of(instance)
        answer = self.ecs(who, region).detach_instance_ram_role(
            em.DetachInstanceRamRoleRequest(
                region_id=region, ram_role_name=role, instance_ids=json.dumps([instance])
            )
        )
        body: dict[str, Any] = answer.body.to_map()
        return body

    def session(
        self, *policies: str, instance: str = WEB, role: str = "EcsRamRole", session_policy: str | None = None
    ) -> Caller:
        """Make a role, attach it to an instance, and return the credential it serves."""
        self.make_role(role, *policies)
        self.attach(instance, role, policy=session_policy)
        return self.credential(instance, role)

    # -- the metadata service --------------------------------------------------------------------------------

    def imds(self, path: str, *args: str, instance: str = WEB) -> Answer:
        return curl(*args, f"{IMDS}{path}", proxy=self.proxies[instance])

    def token(self, ttl: int | str = 300, *, instance: str = WEB) -> str:
        answer = self.imds(
            "/latest/api/token",
            "-X",
            "PUT",
            "-H",
            f"X-aliyun-ecs-metadata-token-ttl-seconds: {ttl}",
            instance=instance,
        )
        assert answer.status == 200, answer.text
        return answer.text

    def served(self, instance: str = WEB, role: str = "EcsRamRole") -> dict[str, str]:
        """The credential document, asked for in security hardening mode."""
        answer = self.imds(
            f"/latest/meta-data/ram/security-credentials/{role}",
            "-H",
            f"{TOKEN}: {self.token(instance=instance)}",
            instance=instance,
        )
        assert answer.status == 200, answer.text
        found: dict[str, str] = answer.json()
        return found

    def credential(self, instance: str = WEB, role: str = "EcsRamRole") -> Caller:
        found = self.served(instance, role)
        assert found["Code"] == "Success", found
        return Caller(found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"])

    # -- the journal -----------------------------------------------------------------------------------------

    def journal_after(self, action: Callable[[], object]) -> list[dict[str, Any]]:
        """Return the journal's entries of what `action` does."""
        since = self.sandbox.admin.journal()["last"]
        action()
        return self.sandbox.journal(since)


def region_of(instance: str) -> str:
    return "cn-beijing" if instance.startswith("i-2ze") else "cn-hangzhou"


def wait_until(moment: float) -> None:
    """Sleep to a point of time."""
    time.sleep(max(0.0, moment - time.time()))
