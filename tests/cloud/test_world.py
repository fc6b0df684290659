"""The picture of who holds what: its arrows are what really happens, and what may not be read is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.world import STEPS, Picture
from ramrole_nb.errors import AccessDenied, InputError

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

PHOTOS = "sandbox-photos"
KEYS = ("testfolder/notes.txt", "reports/2026/sales.csv", "private/salaries.csv")


def allow(action: object, resource: object, **condition: object) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def deny(action: object, resource: object) -> dict[str, object]:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def policy(*statements: dict[str, object]) -> dict[str, object]:
    return {"Version": "1", "Statement": list(statements)}


def test_an_empty_world_shows_the_way(cloud: Cloud) -> None:
    picture = cloud.picture()
    assert picture.roles == ()
    assert picture.caller == "admin"
    assert len(picture.instances) == 8
    assert set(picture.buckets) == {PHOTOS, "sandbox-backup"}
    for shown in (picture.text(), picture.html()):
        for words in (
            "none yet",
            "no instance yet",
            "8 instances with no role",
            "2 buckets that no role here reaches",
        ):
            assert words in shown
    for step in STEPS:
        assert f"now: step {STEPS.index(step) + 1}, {step}" in picture.html(step)
        assert f"now: step {STEPS.index(step) + 1}, {step}" in picture.text(step)


def test_a_step_that_is_none(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="grant"):
        cloud.picture().html("grnat")


def test_who_holds_what(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.roles.create("ForFunctions", trust=rr.policy.trust_for_service("fc.aliyuncs.com"))
    cloud.instances["web-1"].attach(role)
    cloud.instances["hardened-1"].attach(role)
    picture = cloud.picture()
    assert [r.name for r in picture.roles] == ["ForFunctions", "EcsRamRole"], "the newest of one's own first"
    seen = picture.roles[1]
    assert (seen.trusts_ecs, seen.trusted, seen.created_here) == (True, ("ECS (ecs.aliyuncs.com)",), True)
    assert [p.name for p in seen.policies or ()] == ["AliyunOSSReadOnlyAccess"]
    assert [vm.name for vm in seen.instances] == ["web-1", "hardened-1"]
    assert "security hardening mode only" in seen.instances[1].mode
    assert not picture.roles[0].trusts_ecs
    assert "✕ not ECS: fc.aliyuncs.com" in picture.text()
    lit = picture.text("role", "EcsRamRole").splitlines()
    assert "EcsRamRole" in next(line for line in lit if "◀" in line)
    assert picture.unread == ()


def test_other_roles_are_folded_away(cloud: Cloud, world: Sandbox) -> None:
    """Roles of others that neither trust ECS nor are attached."""
    for name in ("Fc1", "Fc2"):
        cloud.roles.create(name, trust=rr.policy.trust_for_service("fc.aliyuncs.com"))
    (world.state / "ledger.jsonl").unlink()
    cloud.roles.create("EcsRamRole")
    picture = cloud.picture()
    assert [r.name for r in picture.roles] == ["EcsRamRole"]
    assert picture.folded == ("Fc1", "Fc2")
    assert "and 2 more roles that ECS does not use" in picture.html()


def attempt(call: Callable[[], object]) -> bool:
    try:
        call()
    except AccessDenied:
        return False
    return True


CASES: dict[str, list[dict[str, Any]]] = {
    "everything": [policy(allow("oss:*", "*"))],
    "nothing": [],
    "read only": [policy(allow(["oss:Get*", "oss:List*"], "*"))],
    "one folder": [rr.policy.read_objects(PHOTOS, "testfolder/")],  # type: ignore[list-item]
    "one folder, writing": [rr.policy.read_write_objects(PHOTOS, "testfolder/")],  # type: ignore[list-item]
    "all but one folder": [
        policy(allow("oss:*", "*"), deny("oss:GetObject", f"acs:oss:*:*:{PHOTOS}/private/*"))
    ],
    "denied": [policy(allow("oss:*", "*")), policy(deny("oss:*", "*"))],
    "the other bucket": [
        policy(allow("oss:*", ["acs:oss:*:*:sandbox-backup", "acs:oss:*:*:sandbox-backup/*"]))
    ],
    "by ending": [policy(allow("oss:GetObject", f"acs:oss:*:*:{PHOTOS}/*.csv"))],
}


@pytest.mark.parametrize("case", CASES)
def test_the_arrows_to_buckets_are_true(cloud: Cloud, case: str) -> None:
    """Each answer of the picture against what OSS does when the instance asks."""
    role = cloud.roles.create("EcsRamRole")
    for document in CASES[case]:
        role.grant(document)
    vm = cloud.instances["web-1"].attach(role)
    found = {reach.bucket: reach for reach in cloud.picture().roles[0].reach}[PHOTOS]
    bucket = cloud.buckets[PHOTOS].using(vm)
    listed = {prefix: attempt(lambda p=prefix: bucket.list(p)) for prefix in ("", "testfolder/")}  # type: ignore[misc]
    read = {key: attempt(lambda k=key: bucket.head(k)) for key in KEYS}  # type: ignore[misc]
    wrote = {
        key: attempt(lambda k=key: bucket.upload(b"x", k, overwrite=True))  # type: ignore[misc]
        for key in ("testfolder/new.txt", "elsewhere/new.txt")
    }
    for access, really in ((found.list, listed), (found.read, read), (found.write, wrote)):
        expected = "yes" if all(really.values()) else "in part" if any(really.values()) else "no"
        assert access.state == expected, (access, really)
    if case == "all but one folder":
        assert found.read.where == ("all but private/*",)
    if case == "by ending":
        assert found.read.said("read") == "◐ read only *.csv"


def test_a_bucket_policy_counts(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant(policy(allow("oss:*", "*")))
    cloud.buckets[PHOTOS].client().put_bucket_policy(
        '{"Version":"1","Statement":[{"Effect":"Deny","Action":["oss:GetObject"],"Principal":["*"],'
        f'"Resource":["acs:oss:*:*:{PHOTOS}/*"]}}]}}'
    )
    vm = cloud.instances["web-1"].attach(role)
    found = {reach.bucket: reach for reach in cloud.picture().roles[0].reach}[PHOTOS]
    assert (found.read.state, found.list.state) == ("no", "yes")
    with pytest.raises(AccessDenied):
        cloud.buckets[PHOTOS].using(vm).head(KEYS[0])


def test_what_is_not_modelled_is_not_claimed(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant(policy(allow("oss:*", "*", IpAddress={"acs:SourceIp": "203.0.113.0/24"})))
    found = cloud.picture().roles[0].reach[0]
    assert found.read.state == "cannot tell"
    assert found.read.said("read") == "? read: cannot tell"
    assert found.any


def test_what_the_caller_may_not_read_is_said_in_its_place(
    cloud: Cloud, as_user: Callable[..., Cloud], hands: Any
) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    picture = as_user("viewer").picture()
    assert picture.caller == "viewer"
    assert [r.name for r in picture.roles] == ["EcsRamRole"]
    assert any(text.startswith("buckets: ") and "AccessDenied" in text for text in picture.unread)
    assert "cannot tell: the buckets could not be listed" in picture.text()
    hands.let("viewer", ("Allow", "oss:*", "*"))
    picture = as_user("viewer").picture()
    assert {text.partition(":")[0] for text in picture.unread} == {"roles"}
    assert "ECS lists only those that the caller may describe" in picture.text()
    assert "Not told: roles: " in picture.html()
    assert "could not be read" in picture.html()
    hands.let("viewer", ("Allow", ["ram:ListRoles", "ram:GetRole", "ecs:*", "oss:ListBuckets"], "*"))
    picture = as_user("viewer").picture()
    seen = picture.roles[0]
    assert seen.policies is None
    assert {reach.read.state for reach in seen.reach} == {"cannot tell"}
    assert any("policy of bucket" in text for text in picture.unread)


def test_it_is_quick_and_only_looks(cloud: Cloud) -> None:
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)
    cloud.picture()
    told: list[int] = []
    stop = cloud.wire.subscribe(lambda: told.append(1))
    mark, started = cloud.wire.mark, time.perf_counter()
    picture = cloud.picture()
    seconds = time.perf_counter() - started
    stop()
    calls = cloud.wire.since(mark)
    assert all(call.check for call in calls)
    assert told == []
    assert picture.calls == len(calls) <= 20
    assert seconds < 0.3
    assert isinstance(picture, Picture)


def test_many_roles_are_folded(cloud: Cloud) -> None:
    for number in range(9):
        cloud.roles.create(f"Role{number}")
    picture = cloud.picture()
    assert len(picture.roles) == 9
    assert "and 3 more roles" in picture.html()
    assert "Role0" in picture.text()
