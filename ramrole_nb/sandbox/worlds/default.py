"""The default world: three users, eight instances in two regions, two buckets, and a picture."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import time
from importlib.resources import files
from typing import Any

from fastcrc import crc64

from ..issued import derived_access_key_id, derived_secret
from ..store import Store, dumps

__all__ = ["OPERATOR_POLICY", "populate"]

# The sample policy of the vendor's page, word for word, spelling of DetachInstanceRAMRole included.
# Source: https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
OPERATOR_POLICY = """{
    "Version": "1",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ecs:Describe*",
                "ecs:List*",
                "ecs:AttachInstanceRamRole",
                "ecs:DetachInstanceRAMRole"
            ],
            "Resource": "*"
        },
        {
          "Effect": "Allow",
          "Action": [
            "ram:Describe*",              
            "ram:List*",
            "ram:Get*",
            "ram:CreateRole", 
            "ram:CreatePolicy", 
            "ram:AttachPolicyToRole"
          ],
          "Resource": "*"
        },
        {
            "Effect": "Allow",
            "Action": "ram:PassRole",
            "Resource": "*"
        }
    ]
}"""  # noqa: W291 - verbatim

_USERS = (
    ("admin", "Administrator of the sandbox account"),
    ("operator", "Creates and attaches roles; cannot clean up"),
    ("viewer", "Reads ECS and RAM"),
)

# (name, region, zone letter, os, type, network, status, http_tokens, public address)
_INSTANCES = (
    ("web-1", "cn-beijing", "h", "linux", "ecs.g7.large", "vpc", "Running", "optional", "203.0.113.11"),
    ("web-2", "cn-beijing", "h", "linux", "ecs.g7.large", "vpc", "Running", "optional", ""),
    ("hardened-1", "cn-beijing", "k", "linux", "ecs.g8i.large", "vpc", "Running", "required", ""),
    (
        "windows-1",
        "cn-beijing",
        "k",
        "windows",
        "ecs.g7.xlarge",
        "vpc",
        "Running",
        "optional",
        "203.0.113.12",
    ),
    ("batch-1", "cn-hangzhou", "i", "linux", "ecs.c7.large", "vpc", "Running", "optional", ""),
    ("batch-2", "cn-hangzhou", "i", "linux", "ecs.c7.large", "vpc", "Running", "optional", ""),
    (
        "classic-1",
        "cn-hangzhou",
        "b",
        "linux",
        "ecs.n4.large",
        "classic",
        "Running",
        "optional",
        "203.0.113.21",
    ),
    ("stopped-1", "cn-hangzhou", "i", "linux", "ecs.c7.large", "vpc", "Stopped", "optional", ""),
)
# An agent below the least version for hardened-only mode: such an instance runs commands until it is hardened.
_OLD_AGENTS = {"web-2": "2.2.0.106"}
_REGION_LETTERS = {"cn-beijing": "2ze", "cn-hangzhou": "bp1"}

_CSV = (
    "date,region,orders,revenue\n2026-01-31,cn-beijing,1204,88210.50\n2026-02-28,cn-beijing,1317,93077.25\n"
)

# (bucket, region, [(key, text or None: the picture)])
_BUCKETS: tuple[tuple[str, str, tuple[tuple[str, str | None], ...]], ...] = (
    (
        "sandbox-photos",
        "cn-beijing",
        (
            ("testfolder/example.png", None),
            ("testfolder/notes.txt", "A text file beside the picture.\n"),
            ("reports/2026/sales.csv", _CSV),
            ("private/salaries.csv", "name,salary\nexample,1\n"),
            ("Testfolder/Example.PNG.txt", "Keys are case-sensitive: this is not testfolder/example.png.\n"),
        ),
    ),
    (
        "sandbox-backup",
        "cn-hangzhou",
        (
            ("logs/2026-01-01.log", "2026-01-01T00:00:00Z started\n"),
            ("logs/2026-01-02.log", "2026-01-02T00:00:00Z rotated\n"),
            ("readme.txt", "This bucket is in cn-hangzhou.\n"),
        ),
    ),
)


def populate(store: Store) -> None:
    """Write the world's rows and bodies."""
    created = "2026-01-15T08:00:00Z"
    master = store.get_meta("master")
    for position, (name, display) in enumerate(_USERS):
        user_id = f"2{_digits(master, name, 17)}"
        store.run("INSERT INTO users VALUES (?, ?, ?, '', ?, ?)", name, user_id, display, created, position)
        key_id, secret = derived_access_key_id(master, f"user {name}"), derived_secret(master, f"user {name}")
        store.run("INSERT INTO access_keys VALUES (?, ?, ?, 'Active')", key_id, secret, name)
    store.run(
        "INSERT INTO policies VALUES ('EcsRamRoleOperator', ?, 'v1', 2, '[]', ?, ?)",
        "The sample policy of the documentation page",
        created,
        created,
    )
    store.run(
        "INSERT INTO policy_versions VALUES ('EcsRamRoleOperator', 'v1', ?, ?)", OPERATOR_POLICY, created
    )
    store.run("INSERT INTO groups VALUES ('readers', 'Everyone who may look', ?)", created)
    store.run("INSERT INTO group_members VALUES ('readers', 'viewer', ?)", created)
    for entity_type, entity, policy_type, policy in (
        ("User", "admin", "System", "AdministratorAccess"),
        ("User", "operator", "Custom", "EcsRamRoleOperator"),
        ("User", "viewer", "System", "AliyunECSReadOnlyAccess"),
        ("Group", "readers", "System", "AliyunRAMReadOnlyAccess"),
    ):
        store.run(
            "INSERT INTO policy_attachments VALUES (?, ?, ?, ?, ?)",
            entity_type,
            entity,
            policy_type,
            policy,
            created,
        )
    for position, spec in enumerate(_INSTANCES):
        _add_instance(store, master, position, *spec)
    for name, region, objects in _BUCKETS:
        store.run(
            "INSERT INTO buckets VALUES (?, ?, 'private', 'Standard', ?)",
            name,
            region,
            "2026-01-15T08:00:00.000Z",
        )
        for key, text in objects:
            body = text.encode() if text is not None else _picture()
            add_object(store, name, key, body)


def _picture() -> bytes:
    return files("ramrole_nb.sandbox").joinpath("data", "example.png").read_bytes()


def _digits(master: str, label: str, count: int) -> str:
    number = int.from_bytes(hashlib.sha256(f"{master} id {label}".encode()).digest(), "big")
    return str(number)[-count:]


def _add_instance(
    store: Store,
    master: str,
    position: int,
    name: str,
    region: str,
    zone: str,
    os_type: str,
    instance_type: str,
    network: str,
    status: str,
    http_tokens: str,
    public_ip: str,
) -> None:
    instance_id = f"i-{_REGION_LETTERS[region]}sandbox{name.replace('-', '')}"
    vpc = network == "vpc"
    known: dict[str, Any] = {
        "name": name,
        "hostname": f"iZ{_REGION_LETTERS[region]}{name.replace('-', '')}Z",
        "status": status,
        "zone_id": f"{region}-{zone}",
        "instance_type": instance_type,
        "os_type": os_type,
        "os_name": "Alibaba Cloud Linux  3.2104 LTS 64 bit"
        if os_type == "linux"
        else "Windows Server 2022 Datacenter 64 bit (English)",
        "image_id": "aliyun_3_x64_20G_alibase_20260101.vhd"
        if os_type == "linux"
        else "win2022_21H2_x64_dtc_en-us_40G_alibase_20260101.vhd",
        "serial_number": hashlib.md5(instance_id.encode(), usedforsecurity=False).hexdigest(),
        "network_type": network,
        "created": "2026-01-15T08:00Z",
        "vpc_id": f"vpc-{_REGION_LETTERS[region]}sandbox" if vpc else "",
        "vswitch_id": f"vsw-{_REGION_LETTERS[region]}sandbox{zone}" if vpc else "",
        "private_ip": f"192.168.0.{11 + position}" if vpc else f"10.0.0.{11 + position}",
        "public_ip": public_ip,
        "security_group_id": f"sg-{_REGION_LETTERS[region]}sandbox",
        "network_interface_id": f"eni-{_REGION_LETTERS[region]}sandbox{position}",
        "mac": f"00:16:3e:00:00:{11 + position:02x}",
        "tags": {"name": name, "env": "sandbox"},
        "agent_version": _OLD_AGENTS.get(name, "2.2.3.857" if os_type == "linux" else "2.1.3.857"),
    }
    store.run(
        "INSERT INTO instances VALUES (?, ?, ?, ?, 'enabled', ?, 0, 'disabled', ?)",
        instance_id,
        region,
        position,
        derived_secret(master, f"proxy {instance_id}"),
        http_tokens,
        dumps(known),
    )


def add_object(store: Store, bucket: str, key: str, body: bytes) -> None:
    """Store an object's body and row."""
    path = store.new_body()
    path.write_bytes(body)
    md5 = hashlib.md5(body, usedforsecurity=False)
    kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
    store.run(
        "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'Normal', ?, 'default', '{}')",
        bucket,
        key,
        len(body),
        f'"{md5.hexdigest().upper()}"',
        str(crc64.xz(body)),
        hashlib.sha256(body).hexdigest(),
        base64.b64encode(md5.digest()).decode(),
        json.dumps({"content-type": kind}),
        time.time(),
        path.name,
    )
