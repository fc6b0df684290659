"""What was done, read from the calls the library really made in the sandbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb import snippets as do
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.errors import InputError, NotFound, RamroleError
from ramrole_nb.snippets.from_calls import UNKNOWN_ROLE, actions_from, last_code

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

WEB1 = "i-2zesandboxweb1"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget_every_role()


def done(cloud: Cloud, mark: int = 0) -> list[do.Action]:
    return actions_from(cloud.wire.since(mark))


def test_nothing_yet(cloud: Cloud) -> None:
    list(cloud.instances)
    with pytest.raises(NotFound):
        cloud.roles["None"].policies()
    assert done(cloud) == []
    with pytest.raises(InputError, match="Nothing was done yet"):
        last_code(cloud.wire.since())


def test_roles_and_policies(cloud: Cloud) -> None:
    role = cloud.roles.create("Reader", description="reads")
    role.grant("AliyunOSSReadOnlyAccess")
    granted = role.grant(rr.policy.read_objects("sandbox-photos"))
    trust = rr.policy.trust_for_service("oss.aliyuncs.com")
    role.set_trust(trust)
    role.revoke("AliyunOSSReadOnlyAccess")
    role.delete(revoke=True)
    created, system, document, trusted, revoked, also, deleted = done(cloud)
    assert isinstance(created, do.CreateRole)
    assert (created.name, created.description) == ("Reader", "reads")
    assert "ecs.aliyuncs.com" in created.trust_policy
    assert system == do.GrantPolicy("Reader", "AliyunOSSReadOnlyAccess", "System")
    assert document == do.GrantDocument("Reader", granted.name, granted.document)
    assert trusted == do.SetTrust("Reader", trust)
    assert revoked == do.RevokePolicy("Reader", "AliyunOSSReadOnlyAccess", "System")
    assert also == do.RevokePolicy("Reader", granted.name, "Custom")
    assert deleted == do.DeleteRole("Reader")
    cloud.clean_up()
    assert done(cloud)[-1] == do.DeletePolicy(granted.name)


def test_a_policy_created_long_before_it_is_granted(cloud: Cloud) -> None:
    text = rr.policy.read_objects("sandbox-photos")
    cloud.context.calls.ram("CreatePolicy", policy_name="Own", policy_document=text)
    cloud.roles.create("Reader").grant("Own")
    first, _, last = done(cloud)
    assert first == do.CreatePolicy("Own", text)
    assert last == do.GrantPolicy("Reader", "Own", "Custom")


def test_instances(cloud: Cloud) -> None:
    for name in ("One", "Two"):
        cloud.roles.create(name).grant("AliyunOSSReadOnlyAccess")
    mark = cloud.wire.mark
    vm = cloud.instances["web-1"].attach("One")
    vm.credentials()
    vm.credentials(mode="normal")
    vm.replace_role("Two")
    vm.set_hardening()
    vm.set_hardening(False)
    vm.detach()
    assert done(cloud, mark) == [
        do.AttachRole("One", "cn-beijing", (WEB1,)),
        do.FetchCredentials("One", WEB1, "security hardening"),
        do.FetchCredentials("One", WEB1, "normal"),
        do.ReplaceRole("One", "Two", "cn-beijing", WEB1),
        do.SetHardening(WEB1, "cn-beijing", required=True),
        do.SetHardening(WEB1, "cn-beijing", required=False),
        do.DetachRole("Two", "cn-beijing", (WEB1,)),
    ]


def test_who_detaches_need_not_know_the_role(cloud: Cloud, world: Sandbox) -> None:
    cloud.roles.create("One")
    cloud.instances.attach("One", ["web-1", "web-2"])
    other = rr.connect(world)
    other.instances.detach(["web-1", "web-2"])
    assert done(other) == [do.DetachRole(UNKNOWN_ROLE, "cn-beijing", (WEB1, "i-2zesandboxweb2"))]
    assert UNKNOWN_ROLE in last_code(other.wire.since()).python


def test_many_at_once_with_a_session_policy(cloud: Cloud) -> None:
    cloud.roles.create("One")
    narrow = rr.policy.read_objects("sandbox-photos")
    cloud.instances.attach("One", ["web-1", "web-2"], session_policy=narrow)
    assert done(cloud)[-1] == do.AttachRole("One", "cn-beijing", (WEB1, "i-2zesandboxweb2"), narrow)


def test_what_is_refused_is_left_out(world: Sandbox) -> None:
    viewer = rr.connect(world, user="viewer")
    for attempt in (
        lambda: viewer.context.calls.ram("DeleteRole", role_name="None"),
        lambda: viewer.buckets["sandbox-photos"].download("testfolder/example.png"),
    ):
        with pytest.raises(RamroleError):
            attempt()
    assert done(viewer) == []


def test_objects(cloud: Cloud, tmp_path: Path) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    bucket.list("testfolder/")
    bucket.download("testfolder/notes.txt", tmp_path)
    role = cloud.roles.create("One")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach(role)
    bucket.using(vm).download("testfolder/example.png", tmp_path)
    found = done(cloud)
    assert found[:2] == [
        do.ListObjects("sandbox-photos", "cn-beijing", "testfolder/", internal=False, own_key=True),
        do.DownloadObject(
            "sandbox-photos", "testfolder/notes.txt", "cn-beijing", internal=False, own_key=True
        ),
    ]
    assert found[-2:] == [
        do.FetchCredentials("One", WEB1),
        do.DownloadObject("sandbox-photos", "testfolder/example.png", "cn-beijing", internal=True),
    ]
    view = last_code(cloud.wire.since())
    assert view.title == "download oss://sandbox-photos/testfolder/example.png"
    assert "testfolder/example.png" in view.python
    assert "internal" in view.shell


def test_a_bucket_of_a_region_not_known_before(world: Sandbox, tmp_path: Path) -> None:
    cloud = rr.connect(world)
    from ramrole_nb.cloud.objects import BoundBucket

    BoundBucket(cloud.context, "sandbox-backup").download("readme.txt", tmp_path)
    assert done(cloud) == [
        do.DownloadObject("sandbox-backup", "readme.txt", "cn-hangzhou", internal=False, own_key=True)
    ]


@dataclass
class Made:
    service: str
    action: str
    params: dict[str, Any] = field(default_factory=dict)
    ok: bool = True
    check: bool = False
    caller: str = "admin"


def test_calls_of_another_form_are_left_out() -> None:
    assert (
        actions_from(
            [
                Made("Ram", "CreateRole"),
                Made(
                    "Ecs",
                    "AttachInstanceRamRole",
                    {"ram_role_name": "R", "region_id": "r", "instance_ids": "x"},
                ),
                Made(
                    "Ecs",
                    "AttachInstanceRamRole",
                    {"ram_role_name": "R", "region_id": "r", "instance_ids": "[]"},
                ),
                Made("Ecs", "DetachInstanceRamRole", {"region_id": "r", "instance_ids": "{}"}),
                Made(
                    "Ram", "AttachPolicyToRole", {"role_name": "R", "policy_name": "P", "policy_type": "Odd"}
                ),
                Made("IMDS", "GET meta-data/ram/security-credentials/R"),
                Made("Ecs", "RunInstances", {"region_id": "r"}),
            ]
        )
        == []
    )
