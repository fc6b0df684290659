"""Policy versions and the holders of a policy, through alibabacloud_ram20150501.

facts/ram.md §2 (parameters), §3 (quotas), §4 (answers), §5 (errors).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ram20150501 import models as rm

from tests.sandbox.drive import READ_OSS, Drive, document, refused
from tests.sandbox.vendor import demo, same_shape

STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
DENY = document(("Deny", "oss:*", "*"))
NAME = "my-policy"


def add(drive: Drive, text: str = READ_OSS, *, name: str = NAME, who: str = "admin", **more: Any) -> Any:
    request = rm.CreatePolicyVersionRequest(policy_name=name, policy_document=text, **more)
    return drive.ram(who).create_policy_version(request).body.to_map()


def listed(drive: Drive, name: str = NAME, kind: str = "Custom") -> Any:
    request = rm.ListPolicyVersionsRequest(policy_name=name, policy_type=kind)
    return drive.ram().list_policy_versions(request).body.to_map()


def ids(drive: Drive) -> list[tuple[str, bool]]:
    return [(v["VersionId"], v["IsDefaultVersion"]) for v in listed(drive)["PolicyVersions"]["PolicyVersion"]]


def set_default(drive: Drive, version: str, name: str = NAME) -> Any:
    request = rm.SetDefaultPolicyVersionRequest(policy_name=name, version_id=version)
    return drive.ram().set_default_policy_version(request).body.to_map()


def delete(drive: Drive, version: str, name: str = NAME) -> Any:
    request = rm.DeletePolicyVersionRequest(policy_name=name, version_id=version)
    return drive.ram().delete_policy_version(request).body.to_map()


@pytest.fixture
def policy(drive: Drive) -> Drive:
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name=NAME, policy_document=READ_OSS))
    return drive


def test_create_version(policy: Drive) -> None:
    """facts/ram.md §4: the documented answer; not the default unless asked."""
    found = add(policy, DENY)
    same_shape(demo("ram", "CreatePolicyVersion"), found)
    version = found["PolicyVersion"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v2", False)
    assert version["PolicyDocument"] == DENY
    assert STAMP.fullmatch(version["CreateDate"])
    assert ids(policy) == [("v1", True), ("v2", False)]


def test_create_version_as_default(policy: Drive) -> None:
    """SetAsDefault moves the default, and what is in force with it."""
    assert add(policy, DENY, set_as_default=True)["PolicyVersion"]["IsDefaultVersion"] is True
    assert ids(policy) == [("v1", False), ("v2", True)]
    found = policy.ram().get_policy(rm.GetPolicyRequest(policy_name=NAME, policy_type="Custom"))
    assert found.body.policy.default_version == "v2"
    assert found.body.default_policy_version.policy_document == DENY


def test_list_versions(policy: Drive) -> None:
    """facts/ram.md §4: the documented answer, oldest first."""
    add(policy)
    found = listed(policy)
    same_shape(demo("ram", "ListPolicyVersions"), found)
    assert [v["PolicyDocument"] for v in found["PolicyVersions"]["PolicyVersion"]] == [READ_OSS] * 2


def test_list_versions_of_a_system_policy(drive: Drive) -> None:
    found = listed(drive, "AliyunOSSReadOnlyAccess", "System")["PolicyVersions"]["PolicyVersion"]
    assert [v["IsDefaultVersion"] for v in found] == [True]


def test_five_versions(policy: Drive) -> None:
    """facts/ram.md §3 and §5: five versions, then LimitExceeded.Policy.Version."""
    for _ in range(4):
        add(policy)
    refused(
        lambda: add(policy),
        409,
        "LimitExceeded.Policy.Version",
        "The count of policy version beyond the current limits.",
    )
    delete(policy, "v3")
    assert add(policy)["PolicyVersion"]["VersionId"] == "v6", "numbers are not used again"


def test_rotation(policy: Drive) -> None:
    """facts/ram.md §2: RotateStrategy deletes the oldest version that is not the default, only at the limit."""
    rotate = {"rotate_strategy": "DeleteOldestNonDefaultVersionWhenLimitExceeded"}
    for _ in range(4):
        add(policy, **rotate)
    assert [i for i, _ in ids(policy)] == ["v1", "v2", "v3", "v4", "v5"]
    add(policy, **rotate)
    assert ids(policy) == [("v1", True), *((f"v{n}", False) for n in (3, 4, 5, 6))]
    set_default(policy, "v6")
    add(policy, rotate_strategy="DeleteOldestNonDefaultVersionWhenLimitExceeded")
    assert [i for i, _ in ids(policy)] == ["v3", "v4", "v5", "v6", "v7"]


def test_default_and_delete(policy: Drive) -> None:
    """facts/ram.md §5: the default version cannot be deleted; another can."""
    add(policy, DENY)
    same_shape(demo("ram", "SetDefaultPolicyVersion"), set_default(policy, "v2"))
    refused(
        lambda: delete(policy, "v2"),
        409,
        "DeleteConflict.Policy.Version.Default",
        "The default policy version CAN NOT been deleted directly.",
    )
    same_shape(demo("ram", "DeletePolicyVersion"), delete(policy, "v1"))
    assert ids(policy) == [("v2", True)]


def test_the_default_counts_at_once(policy: Drive) -> None:
    """facts/policy.md §4: policies are read per request."""
    credential = policy.session("AliyunOSSReadOnlyAccess")
    request = rm.AttachPolicyToRoleRequest(policy_type="Custom", policy_name=NAME, role_name="EcsRamRole")
    policy.ram().attach_policy_to_role(request)
    bucket = policy.bucket(credential)
    assert bucket.get_object("testfolder/notes.txt").read()
    add(policy, DENY, set_as_default=True)
    with pytest.raises(Exception, match="0003-00000201"):
        bucket.get_object("testfolder/notes.txt")
    set_default(policy, "v1")
    assert bucket.get_object("testfolder/notes.txt").read()


@pytest.mark.parametrize(
    ("status", "code", "call"),
    [
        (404, "EntityNotExist.Policy", lambda d: add(d, name="no-such")),
        (404, "EntityNotExist.Policy", lambda d: add(d, name="AliyunOSSReadOnlyAccess")),
        (404, "EntityNotExist.Policy", lambda d: listed(d, "no-such")),
        (404, "EntityNotExist.Policy", lambda d: set_default(d, "v1", "no-such")),
        (404, "EntityNotExist.Policy", lambda d: delete(d, "v1", "no-such")),
        (404, "EntityNotExist.Policy.Version", lambda d: set_default(d, "v9")),
        (404, "EntityNotExist.Policy.Version", lambda d: delete(d, "v9")),
        (400, "InvalidParameter.VersionId.Format", lambda d: set_default(d, "2")),
        (400, "InvalidParameter.VersionId.Format", lambda d: delete(d, "v0")),
        (400, "InvalidParameter.PolicyName.InvalidChars", lambda d: add(d, name="a_b")),
        (400, "InvalidParameter.PolicyName.Length", lambda d: add(d, name="a" * 129)),
        (400, "InvalidParameter.PolicyType", lambda d: listed(d, kind="Own")),
        (400, "InvalidParameter.PolicyDocument.Length", lambda d: add(d, " " * 6145)),
        (400, "MalformedPolicyDocument", lambda d: add(d, '{"Version":"1"}')),
        (400, "InvalidParameter.RotateStrategy", lambda d: add(d, rotate_strategy="Always")),
        (403, "NoPermission", lambda d: add(d, who="viewer")),
    ],
)
def test_refusals(policy: Drive, status: int, code: str, call: Callable[[Drive], object]) -> None:
    """facts/ram.md §5; InvalidParameter.RotateStrategy is ours."""
    refused(lambda: call(policy), status, code)
    assert ids(policy) == [("v1", True)], "nothing changed"


def test_delete_policy_with_versions(policy: Drive) -> None:
    """facts/ram.md §5, §7: refused with more than one version, unless CascadingDelete."""
    add(policy)
    refused(
        lambda: policy.ram().delete_policy(rm.DeletePolicyRequest(policy_name=NAME)),
        409,
        "DeleteConflict.Policy.Version",
        "The policy CAN NOT has any version except the defaul version.",
    )
    policy.ram().delete_policy(rm.DeletePolicyRequest(policy_name=NAME, cascading_delete=True))
    refused(lambda: listed(policy), 404, "EntityNotExist.Policy")


def test_cascading_delete_of_an_attached_policy(policy: Drive) -> None:
    """The SDK's doc-string: CascadingDelete deletes versions; who holds the policy still stops it."""
    policy.make_role("R")
    policy.ram().attach_policy_to_role(
        rm.AttachPolicyToRoleRequest(policy_type="Custom", policy_name=NAME, role_name="R")
    )
    refused(
        lambda: policy.ram().delete_policy(rm.DeletePolicyRequest(policy_name=NAME, cascading_delete=True)),
        409,
        "DeleteConflict.Policy.Role",
    )


def test_entities(policy: Drive) -> None:
    """facts/ram.md §4: users, groups and roles that hold a policy."""
    policy.make_role("R", "AliyunRAMReadOnlyAccess")
    client = policy.ram()

    def holders(name: str, kind: str = "System") -> Any:
        request = rm.ListEntitiesForPolicyRequest(policy_name=name, policy_type=kind)
        return client.list_entities_for_policy(request).body.to_map()

    found = holders("AliyunRAMReadOnlyAccess")
    same_shape(demo("ram", "ListEntitiesForPolicy"), found)
    assert [g["GroupName"] for g in found["Groups"]["Group"]] == ["readers"]
    assert [r["RoleName"] for r in found["Roles"]["Role"]] == ["R"]
    assert found["Users"]["User"] == []
    found = holders("EcsRamRoleOperator", "Custom")
    assert [u["UserName"] for u in found["Users"]["User"]] == ["operator"]
    refused(lambda: holders("no-such"), 404, "EntityNotExist.Policy")
