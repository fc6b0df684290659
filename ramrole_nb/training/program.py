"""The program of a case's user: a short script with the official SDKs, run as on the instance, in its own words."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..cloud.context import Context
from ..cloud.metadata import MetadataClient
from ..cloud.programs import run_program
from ..cloud.sdk import load
from ..errors import InputError, nearest
from ..redact import redact

__all__ = ["BUCKET", "KEY", "READER", "Program", "Ran"]

READER, BUCKET, KEY = "gym-reader", "sandbox-photos", "testfolder/example.png"
INTERNAL = "oss-cn-beijing-internal.aliyuncs.com"

_LONGEST = 40.0  # seconds; oss2 tries again for a while
_CHOICES: Mapping[str, tuple[str, ...]] = {"signature": ("V4", "V1"), "provider": ("sdk", "oss2")}

# The SDK's scheduler thread would keep the process: it ends by itself once the script has ended.
_RUNNER = """\
import os, sys, traceback
text = sys.stdin.read()
code = 0
try:
    exec(compile(text, "program.py", "exec"), {"__name__": "__main__"})
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush(); sys.stderr.flush()
os._exit(code)
"""

_TOOL = """\
import oss2
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config

tool = Client(Config(type="ecs_ram_role", role_name={role}, disable_imds_v1=True))

class FromRole(oss2.credentials.CredentialsProvider):
    def get_credentials(self):
        got = tool.get_credential()
        return oss2.credentials.Credentials({triple})

provider = FromRole()
"""
_OSS2 = """\
import oss2

metadata = "http://100.100.100.200/latest/meta-data/ram/security-credentials/"
provider = oss2.credentials.EcsRamRoleCredentialsProvider(metadata + {role}, max_retries=1)
"""
_READ = """
data = bucket.get_object({key!r}).read()
print(len(data), "bytes of", {key!r})
"""
_LIST = """
page = bucket.list_objects_v2(prefix={key!r})
print([row.key for row in page.object_list])
"""
_ECS = """\
from alibabacloud_ecs20140526.client import Client
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.models import Config
from alibabacloud_credentials.client import Client as Credentials

ecs = Client(Config(credential=Credentials(), endpoint="ecs.{region}.aliyuncs.com", protocol="http"))
"""
_ATTACH = """
answer = ecs.attach_instance_ram_role(models.AttachInstanceRamRoleRequest(
    region_id="{region}", ram_role_name={role!r}, instance_ids='["{instance_id}"]'))
for row in answer.body.attach_instance_ram_role_results.attach_instance_ram_role_result:
    assert row.success, f"{{row.code}}: {{row.message}}"
print("attached")
"""
_DESCRIBE = """
answer = ecs.describe_instances(models.DescribeInstancesRequest(region_id="{region}"))
print(answer.body.total_count, "instances")
"""


@dataclass(frozen=True, repr=False)
class Ran:
    """How a run went: `ok`, and what it printed (`words`): its output, or the exception it ended with, masked."""

    ok: bool
    words: str

    def __repr__(self) -> str:
        return self.words


@dataclass(frozen=True, repr=False)
class Program:
    """What the user's program does, and with which parameters; shown, it is the script that runs.

    `does`: `read`, `list`, `attach` or `describe`. `instance`: where it runs (for `attach`: which one gets the role).
    """

    does: str = "read"
    instance: str = ""
    role: str = ""
    bucket: str = BUCKET
    key: str = KEY
    endpoint: str = INTERNAL
    signature: str = "V4"
    provider: str = "sdk"
    token: bool = True
    user: str = ""

    #: What a learner may set, by what the program does.
    MAY_SET: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "read": ("role", "bucket", "key", "endpoint", "signature", "provider", "token"),
        "list": ("role", "bucket", "key", "endpoint", "signature", "provider", "token"),
        "attach": ("role", "instance"),
        "describe": (),
    }

    def parameters(self) -> dict[str, Any]:
        """Return what may be set, with its values."""
        return {name: getattr(self, name) for name in self.MAY_SET[self.does]}

    def changed(self, given: Mapping[str, Any]) -> Program:
        """Return the program with other parameters. Raises InputError, naming the nearest valid one."""
        names = self.MAY_SET[self.does]
        for name, value in given.items():
            if name not in names:
                raise InputError(
                    f"This program has no parameter {name!r}.{nearest(name, names)}",
                    next_step=f"its parameters: {', '.join(names)}" if names else "nothing in it can be set",
                )
            wanted = bool if name == "token" else str
            if not isinstance(value, wanted):
                raise InputError(
                    f"{name} is {'True or False' if name == 'token' else 'a text'}, not {value!r}."
                )
            if name in _CHOICES and value not in _CHOICES[name]:
                raise InputError(
                    f"There is no {name} {value!r}.{nearest(str(value), _CHOICES[name])}",
                    next_step=f"one of {', '.join(_CHOICES[name])}",
                )
        return replace(self, **given)

    def text(self, *, region: str = "cn-beijing", instance_id: str = "") -> str:
        """Return the script."""
        if self.does in ("attach", "describe"):
            places = {"region": region, "role": self.role, "instance_id": instance_id or self.instance}
            return (_ECS + (_ATTACH if self.does == "attach" else _DESCRIBE)).format(**places)
        if self.provider == "oss2":
            head = _OSS2.format(role=repr(self.role or READER))
        else:
            triple = "got.access_key_id, got.access_key_secret" + (
                ", got.security_token" if self.token else ""
            )
            head = _TOOL.format(role=repr(self.role or None), triple=triple)
        address = self.endpoint if "://" in self.endpoint else f"http://{self.endpoint}"
        if self.signature == "V4":
            found = re.search(r"oss-([a-z]+-[a-z0-9]+)", self.endpoint)
            region = found[1] if found else region
            made = (
                f"oss2.Bucket(oss2.ProviderAuthV4(provider), {address!r}, {self.bucket!r}, region={region!r})"
            )
        else:
            made = f"oss2.Bucket(oss2.ProviderAuth(provider), {address!r}, {self.bucket!r})"
        return f"{head}bucket = {made}" + (_READ if self.does == "read" else _LIST).format(key=self.key)

    def run(self, context: Context) -> Ran:
        """Run it as on its instance (or, signing as its user, at a desk) and return its own words, masked."""
        vm = _vm(context, self.instance) if self.instance else None
        at_desk = self.does in ("attach", "describe")
        environment = context.environment("" if at_desk or vm is None else vm.instance_id)
        if at_desk:
            environment |= dict.fromkeys(("http_proxy", "HTTP_PROXY"), context.endpoints.proxy) | _keys(
                context, self.user
            )
        region = vm.region_id if vm is not None else context.region_id
        text = self.text(region=region, instance_id=vm.instance_id if vm is not None else "")
        done = run_program(
            [sys.executable, "-W", "ignore", "-c", _RUNNER], environment, stdin=text, timeout=_LONGEST
        )
        return Ran(not done.code, redact(_last_words(done.err)) if done.code else done.out.strip())

    def own_provider(self, context: Context) -> Any:
        """Return the credentials provider of the program where it is not the SDK's whole credential, else None."""
        oss2 = load("oss2")
        if self.does not in ("read", "list"):
            return None
        if self.provider == "oss2":
            return oss2.credentials.EcsRamRoleCredentialsProvider("http://127.0.0.1:1/not-asked", 1, 1)
        if self.token:
            return None
        place = _vm(context, self.instance)
        proxy = context.endpoints.metadata_proxy(place.instance_id)
        held = MetadataClient(proxy, instance_id=place.instance_id).credentials()
        return oss2.credentials.StaticCredentialsProvider(held.access_key_id, held.access_key_secret, None)

    def __repr__(self) -> str:
        return self.text()


def _vm(context: Context, name: str) -> Any:
    # Not by the session's calls: those may be what is broken.
    for row in context.sandbox.status()["instances"]:
        if name in (row["name"], row["instance_id"]):
            return _Place(row["instance_id"], row["region_id"])
    raise InputError(f"The sandbox has no instance {name!r}.")


@dataclass(frozen=True)
class _Place:
    instance_id: str
    region_id: str


def _keys(context: Context, user: str) -> dict[str, str]:
    rows = context.sandbox.status()["users"]
    row = next((row for row in rows if row["name"] == user), rows[0])
    return {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": str.__str__(row["access_key_id"]),
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": str.__str__(row["access_key_secret"]),
    }


def _last_words(err: str) -> str:
    """Return the exception a traceback ends with: its own words, without the way there."""
    lines = err.strip().splitlines()
    at = len(lines)
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith("  "):
            break
        at = number
    return "\n".join(lines[at:]) or err.strip()
