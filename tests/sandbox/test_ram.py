"""RAM through alibabacloud_ram20150501: answers as documented, and every documented refusal that can be produced.

facts/ram.md, with the vendor's metadata in tests/data/contract.json
(https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from alibabacloud_ram20150501 import models as rm

from tests.sandbox.drive import ECS_TRUST, READ_OSS, Drive, demo, document, refused, same_shape

STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def body(answer: Any) -> dict[str, Any]:
    """The SDK's own reading of an answer."""
    assert answer.status_code == 200
    found: dict[str, Any] = answer.body.to_map()
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", found["RequestId"])
    return found


def create(drive: Drive, name: str = "ECSAdmin", trust: str = ECS_TRUST, **more: Any) -> dict[str, Any]:
    request = rm.CreateRoleRequest(role_name=name, assume_role_policy_document=trust, **more)
    return body(drive.ram().create_role(request))


def create_policy(drive: Drive, name: str = "my-policy", text: str = READ_OSS, **more: Any) -> dict[str, Any]:
    request = rm.CreatePolicyRequest(policy_name=name, policy_document=text, **more)
    return body(drive.ram().create_policy(request))


def fill(drive: Drive, sql: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Write rows straight into the state."""
    with sqlite3.connect(drive.sandbox.state / "state.db") as db:
        db.executemany(sql, rows)
    db.close()


def link(drive: Drive, name: str, kind: str = "System", role: str = "ECSAdmin") -> dict[str, Any]:
    request = rm.AttachPolicyToRoleRequest(policy_type=kind, policy_name=name, role_name=role)
    return body(drive.ram().attach_policy_to_role(request))


# -- roles -----------------------------------------------------------------------------------------------------


def test_create_role(drive: Drive) -> None:
    """facts/ram.md §4: the documented answer of CreateRole."""
    found = create(drive, description="ECS administrator", max_session_duration=7200)
    same_shape(demo("ram", "CreateRole"), found)
    role = found["Role"]
    assert role["RoleName"] == "ECSAdmin"
    assert role["Arn"] == f"acs:ram::{drive.account}:role/ECSAdmin"
    assert role["AssumeRolePolicyDocument"] == ECS_TRUST, "a string, as sent"
    assert (role["Description"], role["MaxSessionDuration"]) == ("ECS administrator", 7200)
    assert STAMP.fullmatch(role["CreateDate"])
    assert re.fullmatch(r"\d{18}", role["RoleId"])


def test_create_role_defaults(drive: Drive) -> None:
    """facts/ram.md §2: MaxSessionDuration 3600 by default."""
    assert create(drive)["Role"]["MaxSessionDuration"] == 3600


def test_get_role(drive: Drive) -> None:
    """facts/ram.md §4: the same object plus UpdateDate."""
    made = create(drive)["Role"]
    found = body(drive.ram().get_role(rm.GetRoleRequest(role_name="ECSAdmin")))
    same_shape(demo("ram", "GetRole"), found)
    assert {k: v for k, v in found["Role"].items() if k != "UpdateDate"} == made
    assert STAMP.fullmatch(found["Role"]["UpdateDate"])


def test_tags_come_back_and_filter_lists(drive: Drive) -> None:
    """facts/ram.md §2: Tag is a JSON string of Key/Value; the SDK's models of list items know Tags."""
    create(drive, "mine", tag=[rm.CreateRoleRequestTag(key="made-by", value="ramrole_nb")])
    create(drive, "other", tag=[rm.CreateRoleRequestTag(key="made-by", value="someone")])
    create(drive, "plain")
    listed = drive.ram().list_roles(rm.ListRolesRequest()).body.roles.role
    assert {
        r.role_name: [(t.tag_key, t.tag_value) for t in r.tags.tag] if r.tags else [] for r in listed
    } == {
        "mine": [("made-by", "ramrole_nb")],
        "other": [("made-by", "someone")],
        "plain": [],
    }
    for value, names in (("ramrole_nb", ["mine"]), (None, ["mine", "other"]), ("x", [])):
        request = rm.ListRolesRequest(tag=[rm.ListRolesRequestTag(key="made-by", value=value)])
        assert [r.role_name for r in drive.ram().list_roles(request).body.roles.role] == names
    create_policy(drive, "tagged", tag=[rm.CreatePolicyRequestTag(key="made-by", value="ramrole_nb")])
    request = rm.ListPoliciesRequest(tag=[rm.ListPoliciesRequestTag(key="made-by", value="ramrole_nb")])
    found = drive.ram().list_policies(request).body.policies.policy
    assert [(p.policy_name, p.tags.tag[0].tag_value) for p in found] == [("tagged", "ramrole_nb")]


def test_update_role(drive: Drive) -> None:
    """facts/ram.md §2, §4: what is given changes, the rest stays."""
    create(drive, description="before")
    trust = ECS_TRUST.replace("ecs.aliyuncs.com", "fc.aliyuncs.com")
    request = rm.UpdateRoleRequest(role_name="ECSAdmin", new_assume_role_policy_document=trust)
    found = body(drive.ram().update_role(request))
    same_shape(demo("ram", "UpdateRole"), found)
    assert found["Role"]["AssumeRolePolicyDocument"] == trust
    assert (found["Role"]["Description"], found["Role"]["MaxSessionDuration"]) == ("before", 3600)
    request = rm.UpdateRoleRequest(
        role_name="ECSAdmin", new_description="after", new_max_session_duration=43_200
    )
    found = body(drive.ram().update_role(request))
    assert found["Role"]["AssumeRolePolicyDocument"] == trust
    assert (found["Role"]["Description"], found["Role"]["MaxSessionDuration"]) == ("after", 43_200)


def test_delete_role(drive: Drive) -> None:
    """facts/ram.md §1: an answer without payload is the request id alone."""
    create(drive)
    assert set(body(drive.ram().delete_role(rm.DeleteRoleRequest(role_name="ECSAdmin")))) == {"RequestId"}
    refused(
        lambda: drive.ram().get_role(rm.GetRoleRequest(role_name="ECSAdmin")),
        404,
        "EntityNotExist.Role",
        "The role does not exist.",
    )


def test_list_roles_leaves_trust_out_and_pages(drive: Drive) -> None:
    """facts/ram.md §2, §4: Marker and MaxItems 1-1000; items carry no AssumeRolePolicyDocument."""
    names = {f"role-{number}" for number in range(7)}
    for name in names:
        create(drive, name)
    seen: list[str] = []
    marker, pages = None, 0
    while True:
        found = body(drive.ram().list_roles(rm.ListRolesRequest(marker=marker, max_items=3)))
        pages += 1
        items = found["Roles"]["Role"]
        assert all("AssumeRolePolicyDocument" not in item for item in items)
        seen += [item["RoleName"] for item in items]
        if not found["IsTruncated"]:
            assert "Marker" not in found
            break
        assert len(items) == 3
        same_shape(demo("ram", "ListRoles"), found)
        marker = found["Marker"]
    assert (pages, len(seen), set(seen)) == (3, 7, names)
    everything = body(drive.ram().list_roles(rm.ListRolesRequest()))
    assert (everything["IsTruncated"], len(everything["Roles"]["Role"])) == (False, 7)


@pytest.mark.parametrize("size", ["0", "1001", "-1"])
def test_page_size_has_limits(drive: Drive, size: str) -> None:
    """facts/ram.md §2: MaxItems 1-1000. The code is ours (the documented table has none for it)."""
    refused(
        lambda: drive.ram().list_roles(rm.ListRolesRequest(max_items=int(size))),
        400,
        "InvalidParameter.MaxItems",
    )


def test_bad_marker(drive: Drive) -> None:
    """Ours: the documented table has no code for a marker that was not given out."""
    for marker in ("nonsense", "LTE=", "OTk5", "ü"):
        refused(
            lambda marker=marker: drive.ram().list_roles(rm.ListRolesRequest(marker=marker)),  # type: ignore[misc]
            400,
            "InvalidParameter.Marker",
        )


# -- refusals of role operations (facts/ram.md §5) ---------------------------------------------------------------

BY_ROLE_NAME: list[tuple[str, Callable[[Drive, str], object]]] = [
    ("CreateRole", create),
    ("GetRole", lambda d, n: d.ram().get_role(rm.GetRoleRequest(role_name=n))),
    ("UpdateRole", lambda d, n: d.ram().update_role(rm.UpdateRoleRequest(role_name=n))),
    ("DeleteRole", lambda d, n: d.ram().delete_role(rm.DeleteRoleRequest(role_name=n))),
    (
        "ListPoliciesForRole",
        lambda d, n: d.ram().list_policies_for_role(rm.ListPoliciesForRoleRequest(role_name=n)),
    ),
    ("AttachPolicyToRole", lambda d, n: link(d, "AliyunOSSReadOnlyAccess", role=n)),
    (
        "DetachPolicyFromRole",
        lambda d, n: d.ram().detach_policy_from_role(
            rm.DetachPolicyFromRoleRequest(
                policy_type="System", policy_name="AliyunOSSReadOnlyAccess", role_name=n
            )
        ),
    ),
]
role_operations = pytest.mark.parametrize(
    "call", [c for _, c in BY_ROLE_NAME], ids=[n for n, _ in BY_ROLE_NAME]
)


@role_operations
@pytest.mark.parametrize("name", ["under_score", "a b", "ü", "a@b", "a/b", "a\n", "*"])
def test_role_name_characters(drive: Drive, call: Callable[[Drive, str], object], name: str) -> None:
    """facts/ram.md §2, §5: letters, digits, `.` and `-` only."""
    refused(
        lambda: call(drive, name),
        400,
        "InvalidParameter.RoleName.InvalidChars",
        'The parameter - "RoleName" contains invalid chars.',
    )


@role_operations
@pytest.mark.parametrize("name", ["", "r" * 65])
def test_role_name_length(drive: Drive, call: Callable[[Drive, str], object], name: str) -> None:
    """facts/ram.md §3, §5: 1 to 64 characters."""
    refused(
        lambda: call(drive, name),
        400,
        "InvalidParameter.RoleName.Length",
        'The parameter - "RoleName" beyond the length limit.',
    )


def test_longest_names_are_taken(drive: Drive) -> None:
    """facts/ram.md §3: 64 for a role, 128 for a policy."""
    assert create(drive, "r" * 62 + ".-")["Role"]["RoleName"] == "r" * 62 + ".-"
    assert create_policy(drive, "p" * 127 + "-")["Policy"]["PolicyName"] == "p" * 127 + "-"


@pytest.mark.parametrize(("name", "call"), [pair for pair in BY_ROLE_NAME if pair[0] != "CreateRole"])
def test_unknown_role(drive: Drive, name: str, call: Callable[[Drive, str], object]) -> None:
    """facts/ram.md §5: EntityNotExist.Role."""
    assert name
    refused(lambda: call(drive, "nosuch"), 404, "EntityNotExist.Role", "The role does not exist.")


def test_role_exists_already(drive: Drive) -> None:
    """facts/ram.md §5: EntityAlreadyExists.Role."""
    create(drive)
    refused(lambda: create(drive), 409, "EntityAlreadyExists.Role", "The role does already EXIST.")


def test_role_with_policies_is_not_deleted(drive: Drive) -> None:
    """facts/ram.md §5, §7: DeleteConflict.Role.Policy."""
    create(drive)
    link(drive, "AliyunOSSReadOnlyAccess")
    refused(
        lambda: drive.ram().delete_role(rm.DeleteRoleRequest(role_name="ECSAdmin")),
        409,
        "DeleteConflict.Role.Policy",
        "The role CAN NOT has any attached policy while deleting the role.",
    )
    assert drive.ram().get_role(rm.GetRoleRequest(role_name="ECSAdmin")).status_code == 200


def test_attached_role_can_be_deleted(drive: Drive) -> None:
    """Ours: whether a role attached to an instance is kept is not found (facts/ram.md §7)."""
    create(drive)
    drive.attach(role="ECSAdmin")
    assert body(drive.ram().delete_role(rm.DeleteRoleRequest(role_name="ECSAdmin")))


@pytest.mark.parametrize("duration", [3599, 43_201])
def test_session_duration_limits(drive: Drive, duration: int) -> None:
    """facts/ram.md §2: 3600 to 43200 s. The code is ours."""
    refused(lambda: create(drive, max_session_duration=duration), 400, "InvalidParameter.MaxSessionDuration")


def test_document_and_description_lengths_of_roles(drive: Drive) -> None:
    """facts/ram.md §5: …AssumeRolePolicyDocument.Length, …NewAssumeRolePolicyDocument.Length, …Description.Length.

    The trust policy's limit is ours (6144: not found as a number).
    """
    long = ECS_TRUST + " " * 6144
    text = 'The parameter - "{}" beyond the length limit.'
    name = "AssumeRolePolicyDocument"
    refused(lambda: create(drive, trust=long), 400, f"InvalidParameter.{name}.Length", text.format(name))
    refused(
        lambda: create(drive, description="d" * 1025),
        400,
        "InvalidParameter.Description.Length",
        text.format("Description"),
    )
    create(drive, description="d" * 1024)
    refused(
        lambda: drive.ram().update_role(
            rm.UpdateRoleRequest(role_name="ECSAdmin", new_assume_role_policy_document=long)
        ),
        400,
        f"InvalidParameter.New{name}.Length",
        text.format(f"New{name}"),
    )


def test_limit_of_roles(drive: Drive) -> None:
    """facts/ram.md §3, §5: 1000 roles an account, then LimitExceeded.Role."""
    # The first 999 straight into the state: a call for each would take seconds.
    rows = [(f"r{n}", str(n), ECS_TRUST) for n in range(999)]
    fill(drive, "INSERT INTO roles VALUES (?, ?, '', ?, 3600, '[]', '', '')", rows)
    create(drive, "the-last")
    refused(
        lambda: create(drive, "one-more"),
        409,
        "LimitExceeded.Role",
        "The count of roles beyond the current limits.",
    )


# -- malformed documents (facts/policy.md §1, §7) -----------------------------------------------------------------

NO_ACTION = "Add an Action or NotAction element to the policy statement."
NO_VERSION = "The policy document is invalid. apsara::AnyCast: can't cast from v to Ss"
STATEMENT = {"Effect": "Allow", "Action": "oss:*", "Resource": "*"}

MALFORMED: list[tuple[str, str, str | None]] = [
    ("no action", document({"Effect": "Allow", "Resource": "*"}), NO_ACTION),
    ("no version", json.dumps({"Statement": [STATEMENT]}), NO_VERSION),
    ("another cloud's version", json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}), None),
    ("version as a number", json.dumps({"Version": 1, "Statement": [STATEMENT]}), None),
    ("no JSON", "{", None),
    ("empty", "", None),
    ("no statement", json.dumps({"Version": "1", "Statement": []}), None),
    ("effect", document({**STATEMENT, "Effect": "allow"}), None),
    ("both actions", document({**STATEMENT, "NotAction": "ram:*"}), None),
    ("no resource", document({"Effect": "Allow", "Action": "oss:*"}), None),
    ("NotResource", document({"Effect": "Allow", "Action": "oss:*", "NotResource": "*"}), None),
    ("arn prefix", document({**STATEMENT, "Resource": "arn:aws:s3:::x"}), None),
    ("action format", document({**STATEMENT, "Action": "GetObject"}), None),
    ("principal", document({**STATEMENT, "Principal": {"RAM": "*"}}), None),
    ("operator", document({**STATEMENT, "Condition": {"Null": {"acs:SourceIp": "true"}}}), None),
]


@pytest.mark.parametrize(("text", "message"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED])
def test_malformed_policy(drive: Drive, text: str, message: str | None) -> None:
    """facts/ram.md §5, facts/policy.md §1, §7: MalformedPolicyDocument, with the two live texts that are known.

    https://github.com/aliyun/terraform-provider-alicloud/pull/9949,
    https://github.com/aliyun/Resource-Orchestration-Service-Cloud-Development-Kit/issues/58
    """
    error = refused(lambda: create_policy(drive, text=text), 400, "MalformedPolicyDocument", message)
    assert len(error.data["Message"]) > 10
    policies = drive.ram().list_policies(rm.ListPoliciesRequest(policy_type="Custom")).body.policies.policy
    assert [p.policy_name for p in policies] == ["EcsRamRoleOperator"], "nothing was created"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document({"Effect": "Allow", "Principal": {"Service": ["ecs.aliyuncs.com"]}}), NO_ACTION),
        (ECS_TRUST.replace('"Version"', '"version"'), NO_VERSION),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), None),
        (READ_OSS, None),
        ("", None),
        (ECS_TRUST.replace('"Service"', '"service"'), None),
    ],
)
def test_malformed_trust_policy(drive: Drive, text: str, message: str | None) -> None:
    """facts/policy.md §1, §7: CreateRole and UpdateRole check required elements too; a trust policy has no Resource."""
    refused(lambda: create(drive, trust=text), 400, "MalformedPolicyDocument", message)
    create(drive)
    if text:
        request = rm.UpdateRoleRequest(role_name="ECSAdmin", new_assume_role_policy_document=text)
        refused(lambda: drive.ram().update_role(request), 400, "MalformedPolicyDocument", message)


# -- policies --------------------------------------------------------------------------------------------------


def test_create_policy(drive: Drive) -> None:
    """facts/ram.md §4: the documented answer of CreatePolicy."""
    found = create_policy(drive, description="Reads objects")
    same_shape(demo("ram", "CreatePolicy"), found)
    policy = found["Policy"]
    assert STAMP.fullmatch(policy.pop("CreateDate"))
    assert policy == {
        "PolicyName": "my-policy",
        "PolicyType": "Custom",
        "Description": "Reads objects",
        "DefaultVersion": "v1",
    }


def test_get_policy(drive: Drive) -> None:
    """facts/ram.md §4: Policy.PolicyDocument is the literal N/A; the text is in DefaultPolicyVersion."""
    create_policy(drive)
    create(drive)
    link(drive, "my-policy", "Custom")
    request = rm.GetPolicyRequest(policy_type="Custom", policy_name="my-policy")
    found = body(drive.ram().get_policy(request))
    same_shape(demo("ram", "GetPolicy"), found)
    assert found["Policy"]["PolicyDocument"] == "N/A"
    assert found["Policy"]["AttachmentCount"] == 1
    assert found["DefaultPolicyVersion"]["PolicyDocument"] == READ_OSS, "as sent"
    assert found["DefaultPolicyVersion"]["IsDefaultVersion"] is True


def test_get_policy_version(drive: Drive) -> None:
    """facts/ram.md §4."""
    create_policy(drive)
    request = rm.GetPolicyVersionRequest(policy_type="Custom", policy_name="my-policy", version_id="v1")
    found = body(drive.ram().get_policy_version(request))
    same_shape(demo("ram", "GetPolicyVersion"), found)
    assert found["PolicyVersion"]["PolicyDocument"] == READ_OSS


PUBLISHED_ECS = (
    '{"Version":"1","Statement":[{"Action":"ecs:Describe*","Resource":"*","Effect":"Allow"},{"Action":'
    '"ecs:List*","Resource":"*","Effect":"Allow"},{"Action":["vpc:DescribeVpcs","vpc:DescribeVSwitches"],'
    '"Resource":"*","Effect":"Allow"}]}'
)
PUBLISHED_RAM = (
    '{"Version":"1","Statement":[{"Action":["ram:Get*","ram:List*","ram:GenerateCredentialReport"],'
    '"Resource":"*","Effect":"Allow"},{"Effect":"Allow","Action":["accessanalyzer:Get*",'
    '"accessanalyzer:List*"],"Resource":"*"}]}'
)


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        (
            "AliyunOSSReadOnlyAccess",
            "v1",
            '{"Statement":[{"Action":["oss:Get*","oss:List*"],"Effect":"Allow","Resource":"*"}],"Version":"1"}',
        ),
        (
            "AliyunECSReadOnlyAccess",
            "v1",
            PUBLISHED_ECS,
        ),
        (
            "AliyunRAMReadOnlyAccess",
            "v3",
            PUBLISHED_RAM,
        ),
    ],
)
def test_system_policies_have_their_published_text(drive: Drive, name: str, version: str, text: str) -> None:
    """facts/policy.md §6: exact JSON, e.g. https://help.aliyun.com/zh/ram/developer-reference/aliyunossreadonlyaccess."""
    found = drive.ram().get_policy(rm.GetPolicyRequest(policy_type="System", policy_name=name)).body
    assert found.default_policy_version.policy_document == text
    assert found.policy.default_version == found.default_policy_version.version_id == version
    request = rm.GetPolicyVersionRequest(policy_type="System", policy_name=name, version_id=version)
    assert drive.ram().get_policy_version(request).body.policy_version.policy_document == text


def test_list_policies_by_type_and_page(drive: Drive) -> None:
    """facts/ram.md §2, §4: PolicyType, Marker, MaxItems."""
    for number in range(3):
        create_policy(drive, f"mine-{number}")
    everything = body(drive.ram().list_policies(rm.ListPoliciesRequest()))
    items = everything["Policies"]["Policy"]
    assert {i["PolicyType"] for i in items} == {"System", "Custom"}
    names: list[tuple[str, str]] = []
    marker = None
    while True:
        found = body(drive.ram().list_policies(rm.ListPoliciesRequest(max_items=2, marker=marker)))
        names += [(i["PolicyType"], i["PolicyName"]) for i in found["Policies"]["Policy"]]
        if not found["IsTruncated"]:
            break
        same_shape(demo("ram", "ListPolicies"), found)
        marker = found["Marker"]
    assert names == [(i["PolicyType"], i["PolicyName"]) for i in items]
    for kind in ("System", "Custom"):
        only = body(drive.ram().list_policies(rm.ListPoliciesRequest(policy_type=kind)))
        assert [(i["PolicyType"], i["PolicyName"]) for i in only["Policies"]["Policy"]] == [
            pair for pair in names if pair[0] == kind
        ]


def test_attach_list_and_detach(drive: Drive) -> None:
    """facts/ram.md §4: ListPoliciesForRole; the count follows."""
    create(drive)
    create_policy(drive, description="mine")
    assert set(link(drive, "my-policy", "Custom")) == {"RequestId"}
    link(drive, "AliyunOSSReadOnlyAccess")
    found = body(drive.ram().list_policies_for_role(rm.ListPoliciesForRoleRequest(role_name="ECSAdmin")))
    same_shape(demo("ram", "ListPoliciesForRole"), found)
    held = [(p["PolicyType"], p["PolicyName"]) for p in found["Policies"]["Policy"]]
    assert sorted(held) == [("Custom", "my-policy"), ("System", "AliyunOSSReadOnlyAccess")]
    for kind, name in held:
        request = rm.DetachPolicyFromRoleRequest(policy_type=kind, policy_name=name, role_name="ECSAdmin")
        assert set(body(drive.ram().detach_policy_from_role(request))) == {"RequestId"}
    found = body(drive.ram().list_policies_for_role(rm.ListPoliciesForRoleRequest(role_name="ECSAdmin")))
    assert found["Policies"]["Policy"] == []


def test_delete_policy(drive: Drive) -> None:
    """facts/ram.md §1, §5."""
    create_policy(drive)
    assert set(body(drive.ram().delete_policy(rm.DeletePolicyRequest(policy_name="my-policy")))) == {
        "RequestId"
    }
    refused(
        lambda: drive.ram().get_policy(rm.GetPolicyRequest(policy_type="Custom", policy_name="my-policy")),
        404,
        "EntityNotExist.Policy",
        "The policy does not exist.",
    )


# -- refusals of policy operations ---------------------------------------------------------------------------------

BY_POLICY_NAME: list[tuple[str, Callable[[Drive, str], object]]] = [
    ("CreatePolicy", create_policy),
    ("GetPolicy", lambda d, n: d.ram().get_policy(rm.GetPolicyRequest(policy_type="Custom", policy_name=n))),
    (
        "GetPolicyVersion",
        lambda d, n: d.ram().get_policy_version(
            rm.GetPolicyVersionRequest(policy_type="Custom", policy_name=n, version_id="v1")
        ),
    ),
    ("DeletePolicy", lambda d, n: d.ram().delete_policy(rm.DeletePolicyRequest(policy_name=n))),
    ("AttachPolicyToRole", lambda d, n: link(d, n, "Custom")),
    (
        "DetachPolicyFromRole",
        lambda d, n: d.ram().detach_policy_from_role(
            rm.DetachPolicyFromRoleRequest(policy_type="Custom", policy_name=n, role_name="ECSAdmin")
        ),
    ),
]
policy_operations = pytest.mark.parametrize(
    "call", [c for _, c in BY_POLICY_NAME], ids=[n for n, _ in BY_POLICY_NAME]
)


@policy_operations
def test_policy_name_characters(drive: Drive, call: Callable[[Drive, str], object]) -> None:
    """facts/ram.md §2, §5: letters, digits and `-`; the message's typo is the vendor's."""
    create(drive)
    for name in ("under_score", "a.b", "a b", "ü", "a\n"):
        refused(
            lambda name=name: call(drive, name),  # type: ignore[misc]
            400,
            "InvalidParameter.PolicyName.InvalidChars",
            'The parameter - "PolicyNam" contains invalid chars.',
        )


@policy_operations
def test_policy_name_length(drive: Drive, call: Callable[[Drive, str], object]) -> None:
    """facts/ram.md §3, §5: 1 to 128 characters."""
    create(drive)
    for name in ("", "p" * 129):
        refused(
            lambda name=name: call(drive, name),  # type: ignore[misc]
            400,
            "InvalidParameter.PolicyName.Length",
            'The parameter - "PolicyName" beyond the length limit.',
        )


@pytest.mark.parametrize(("name", "call"), [pair for pair in BY_POLICY_NAME if pair[0] != "CreatePolicy"])
def test_unknown_policy(drive: Drive, name: str, call: Callable[[Drive, str], object]) -> None:
    """facts/ram.md §5: EntityNotExist.Policy; a system policy's name is not a custom one's."""
    assert name
    create(drive)
    for missing in ("nosuch", "AliyunOSSReadOnlyAccess"):
        refused(
            lambda missing=missing: call(drive, missing),  # type: ignore[misc]
            404,
            "EntityNotExist.Policy",
            "The policy does not exist.",
        )


@pytest.mark.parametrize("kind", ["", "system", "Other"])
def test_policy_type(drive: Drive, kind: str) -> None:
    """facts/ram.md §5: InvalidParameter.PolicyType."""
    calls: list[Callable[[], object]] = [
        lambda: drive.ram().get_policy(rm.GetPolicyRequest(policy_type=kind, policy_name="x")),
        lambda: drive.ram().get_policy_version(
            rm.GetPolicyVersionRequest(policy_type=kind, policy_name="x", version_id="v1")
        ),
        lambda: link(drive, "x", kind),
    ]
    if kind:
        calls.append(lambda: drive.ram().list_policies(rm.ListPoliciesRequest(policy_type=kind)))
    for call in calls:
        refused(call, 400, "InvalidParameter.PolicyType", 'The parameter - "PolicyType" is incorrect.')


def test_policy_version_refusals(drive: Drive) -> None:
    """facts/ram.md §5: VersionId.Format, EntityNotExist.Policy.Version."""
    create_policy(drive)

    def get(kind: str, name: str, version: str) -> object:
        return drive.ram().get_policy_version(
            rm.GetPolicyVersionRequest(policy_type=kind, policy_name=name, version_id=version)
        )

    for version in ("", "1", "v0", "V1", "v1x", "v-1", "v01"):
        refused(
            lambda version=version: get("Custom", "my-policy", version),  # type: ignore[misc]
            400,
            "InvalidParameter.VersionId.Format",
            'The format of the parameter - "VersionId" is incorrect.',
        )
    for kind, name, version in (
        ("Custom", "my-policy", "v2"),
        ("System", "AliyunOSSReadOnlyAccess", "v2"),
        ("System", "AliyunRAMReadOnlyAccess", "v1"),
    ):
        refused(
            lambda args=(kind, name, version): get(*args),  # type: ignore[misc]
            404,
            "EntityNotExist.Policy.Version",
            "The policy version does not exist.",
        )


def test_policy_exists_already(drive: Drive) -> None:
    """facts/ram.md §5: EntityAlreadyExists.Policy, "The group" sic. That system names are taken too is ours."""
    create_policy(drive)
    for name in ("my-policy", "AliyunOSSReadOnlyAccess"):
        refused(
            lambda name=name: create_policy(drive, name),  # type: ignore[misc]
            409,
            "EntityAlreadyExists.Policy",
            "The group does already EXIST.",
        )


def test_policy_lengths(drive: Drive) -> None:
    """facts/ram.md §3, §5: 6144 characters, description 1024."""
    text = READ_OSS + " " * (6144 - len(READ_OSS))
    create_policy(drive, "just-fits", text, description="d" * 1024)
    refused(
        lambda: create_policy(drive, "too-long", text + " "),
        400,
        "InvalidParameter.PolicyDocument.Length",
        'The parameter - "PolicyDocument" beyond the length limit.',
    )
    refused(
        lambda: create_policy(drive, "too-long", description="d" * 1025),
        400,
        "InvalidParameter.Description.Length",
        'The parameter - "Description" beyond the length limit.',
    )


def test_attached_policy_is_not_deleted(drive: Drive) -> None:
    """facts/ram.md §5: DeleteConflict.Policy.User is documented; …Policy.Role is named after it (ours)."""
    create_policy(drive)
    create(drive)
    link(drive, "my-policy", "Custom")
    for name, holder in (("my-policy", "Role"), ("EcsRamRoleOperator", "User")):
        refused(
            lambda name=name: drive.ram().delete_policy(rm.DeletePolicyRequest(policy_name=name)),  # type: ignore[misc]
            409,
            f"DeleteConflict.Policy.{holder}",
            f"The policy CAN NOT been attached to any {holder.lower()} while deleting the policy.",
        )


def test_attach_twice_and_detach_what_is_not_attached(drive: Drive) -> None:
    """facts/ram.md §5: EntityAlreadyExists.Role.Policy and EntityNotExist.Role.Policy; both messages are ours."""
    create(drive)
    link(drive, "AliyunOSSReadOnlyAccess")
    refused(lambda: link(drive, "AliyunOSSReadOnlyAccess"), 409, "EntityAlreadyExists.Role.Policy")
    request = rm.DetachPolicyFromRoleRequest(
        policy_type="System", policy_name="AliyunECSReadOnlyAccess", role_name="ECSAdmin"
    )
    refused(lambda: drive.ram().detach_policy_from_role(request), 404, "EntityNotExist.Role.Policy")


def test_ten_custom_policies_a_role(drive: Drive) -> None:
    """facts/ram.md §3, §5: 10 custom policies a role; system policies are counted apart.

    20 system policies cannot be reached: the sandbox knows fewer.
    """
    create(drive)
    for number in range(11):
        create_policy(drive, f"p{number}")
    for number in range(10):
        link(drive, f"p{number}", "Custom")
    refused(
        lambda: link(drive, "p10", "Custom"),
        409,
        "LimitExceeded.Role.Policy",
        "The count of policies attached to the role beyond the current limits.",
    )
    link(drive, "AliyunOSSReadOnlyAccess")
    create(drive, "another")
    link(drive, "p10", "Custom", "another")


def test_limit_of_policies(drive: Drive) -> None:
    """facts/ram.md §3, §5: 1500 custom policies an account (the world has one), then LimitExceeded.Policy."""
    rows = [(f"p{n}",) for n in range(1498)]
    fill(drive, "INSERT INTO policies VALUES (?, '', 'v1', 2, '[]', '', '')", rows)
    create_policy(drive, "the-last")
    refused(
        lambda: create_policy(drive, "one-more"),
        409,
        "LimitExceeded.Policy",
        "The count of policy beyond the current limits.",
    )


# -- the four calls of a pre-flight ------------------------------------------------------------------------------


def test_what_a_pre_flight_reads(drive: Drive) -> None:
    """Design §4: GetUser, ListPoliciesForUser, ListGroupsForUser, ListPoliciesForGroup, by the SDK's models."""
    ram = drive.ram()
    who = drive.sts("viewer").get_caller_identity().body
    user = ram.get_user(rm.GetUserRequest(user_name="viewer")).body.user
    assert (user.user_name, user.user_id) == ("viewer", who.user_id)
    assert STAMP.fullmatch(user.create_date)
    own = ram.list_policies_for_user(rm.ListPoliciesForUserRequest(user_name="viewer")).body
    assert [p.policy_name for p in own.policies.policy] == ["AliyunECSReadOnlyAccess"]
    groups = ram.list_groups_for_user(rm.ListGroupsForUserRequest(user_name="viewer")).body
    assert [g.group_name for g in groups.groups.group] == ["readers"]
    held = ram.list_policies_for_group(rm.ListPoliciesForGroupRequest(group_name="readers")).body
    assert [(p.policy_type, p.policy_name) for p in held.policies.policy] == [
        ("System", "AliyunRAMReadOnlyAccess")
    ]
    assert STAMP.fullmatch(held.policies.policy[0].attach_date)


def test_unknown_users_and_groups(drive: Drive) -> None:
    """Ours, after its siblings: EntityNotExist.User and …Group (facts/ram.md §5 lists the role's and the policy's)."""
    ram = drive.ram()
    refused(lambda: ram.get_user(rm.GetUserRequest(user_name="nosuch")), 404, "EntityNotExist.User")
    refused(
        lambda: ram.list_policies_for_user(rm.ListPoliciesForUserRequest(user_name="nosuch")),
        404,
        "EntityNotExist.User",
    )
    refused(
        lambda: ram.list_groups_for_user(rm.ListGroupsForUserRequest(user_name="nosuch")),
        404,
        "EntityNotExist.User",
    )
    refused(
        lambda: ram.list_policies_for_group(rm.ListPoliciesForGroupRequest(group_name="nosuch")),
        404,
        "EntityNotExist.Group",
    )


def test_unmodelled_operation(drive: Drive) -> None:
    """facts/signing.md §4: InvalidAction.NotFound for what the sandbox does not have."""
    refused(
        lambda: drive.ram().list_access_keys(rm.ListAccessKeysRequest()),
        404,
        "InvalidAction.NotFound",
        "Specified api is not found, please check your url and method.",
    )
