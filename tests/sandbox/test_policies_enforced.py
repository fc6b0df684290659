"""Policies decide, at once and everywhere: users, groups, roles, session policies, and the page's sample policy.

facts/policy.md §2-§5 (https://www.alibabacloud.com/help/en/ram/policy-elements, policy-evaluation-process) and
https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens. Evaluation itself: tests/policy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ram20150501 import models as rm

from tests.sandbox.drive import READ_OSS, WEB, Caller, Drive, document, refused
from tests.sandbox.test_ecs import FORBIDDEN, roles
from tests.sandbox.test_oss import PHOTO, refuses


def no_permission(drive: Drive, call: Callable[[], object], action: str, resource: str) -> Any:
    """facts/ram.md §5: NoPermission with the live suffix (https://github.com/alibaba/funcraft, faq)."""
    full = f"acs:ram:*:{drive.account}:{resource}"
    message = f"You are not authorized to do this action. Resource: {full} Action: {action}"
    error = refused(call, 403, "NoPermission", message)
    assert error.data["AccessDeniedDetail"]["AuthAction"] == action
    return error


def edit(drive: Drive, sql: str, *args: str) -> None:
    """Change what the sandbox has no call for yet (users' and groups' attachments), then let it notice."""
    with sqlite3.connect(drive.sandbox.state / "state.db") as db:
        db.execute(sql, args)
    db.close()
    drive.make_role("notice")


# -- refusals and their form ------------------------------------------------------------------------------------


def test_no_permission(drive: Drive) -> None:
    """facts/ram.md §5, §6: implicit deny, AccessDeniedDetail of a user (signing.md §6, ram.md §4)."""
    error = no_permission(drive, lambda: drive.make_role_as("viewer", "x"), "ram:CreateRole", "role/*")
    detail = error.data["AccessDeniedDetail"]
    user = drive.sts("viewer").get_caller_identity().body
    assert (detail["AuthPrincipalType"], detail["AuthPrincipalDisplayName"]) == ("SubUser", user.user_id)
    assert (detail["AuthPrincipalOwnerId"], detail["NoPermissionType"]) == (drive.account, "ImplicitDeny")
    assert detail["PolicyType"] in (
        "AccountLevelIdentityBasedPolicy",
        "ResourceGroupLevelIdentityBasedPolicy",
    )
    assert "AuthResource" not in detail
    assert error.data["HostId"] == "ram.aliyuncs.com"


@pytest.mark.parametrize(
    ("call", "action", "resource"),
    [
        (lambda r: r.get_role(rm.GetRoleRequest(role_name="R")), "ram:GetRole", "role/R"),
        (lambda r: r.update_role(rm.UpdateRoleRequest(role_name="R")), "ram:UpdateRole", "role/R"),
        (lambda r: r.delete_role(rm.DeleteRoleRequest(role_name="R")), "ram:DeleteRole", "role/R"),
        (lambda r: r.list_roles(rm.ListRolesRequest()), "ram:ListRoles", "role/*"),
        (
            lambda r: r.create_policy(rm.CreatePolicyRequest(policy_name="p", policy_document=READ_OSS)),
            "ram:CreatePolicy",
            "policy/*",
        ),
        (lambda r: r.list_policies(rm.ListPoliciesRequest()), "ram:ListPolicies", "policy/*"),
        (lambda r: r.delete_policy(rm.DeletePolicyRequest(policy_name="p")), "ram:DeletePolicy", "policy/p"),
        (
            lambda r: r.get_policy(rm.GetPolicyRequest(policy_type="Custom", policy_name="p")),
            "ram:GetPolicy",
            "policy/p",
        ),
        (
            lambda r: r.list_policies_for_role(rm.ListPoliciesForRoleRequest(role_name="R")),
            "ram:ListPoliciesForRole",
            "role/R",
        ),
        (
            lambda r: r.attach_policy_to_role(
                rm.AttachPolicyToRoleRequest(policy_type="Custom", policy_name="p", role_name="R")
            ),
            "ram:AttachPolicyToRole",
            "role/R",
        ),
        (
            lambda r: r.detach_policy_from_role(
                rm.DetachPolicyFromRoleRequest(policy_type="Custom", policy_name="p", role_name="R")
            ),
            "ram:DetachPolicyFromRole",
            "role/R",
        ),
        (lambda r: r.get_user(rm.GetUserRequest(user_name="u")), "ram:GetUser", "user/u"),
        (
            lambda r: r.list_policies_for_user(rm.ListPoliciesForUserRequest(user_name="u")),
            "ram:ListPoliciesForUser",
            "user/u",
        ),
        (
            lambda r: r.list_groups_for_user(rm.ListGroupsForUserRequest(user_name="u")),
            "ram:ListGroupsForUser",
            "user/u",
        ),
        (
            lambda r: r.list_policies_for_group(rm.ListPoliciesForGroupRequest(group_name="g")),
            "ram:ListPoliciesForGroup",
            "group/g",
        ),
    ],
)
def test_every_ram_operation_asks(
    drive: Drive, call: Callable[[Any], object], action: str, resource: str
) -> None:
    """facts/ram.md §6: each operation's action and resource; nothing is told about what exists before that."""
    who = drive.session(document(("Allow", "oss:*", "*")))
    no_permission(drive, lambda: call(drive.ram(who)), action, resource)


def test_attach_policy_needs_role_and_policy(drive: Drive) -> None:
    """facts/ram.md §6: AttachPolicyToRole on role **and** policy resources."""
    drive.make_role("Target")
    request = rm.AttachPolicyToRoleRequest(
        policy_type="System", policy_name="AliyunOSSReadOnlyAccess", role_name="Target"
    )
    who = drive.session(document(("Allow", "ram:AttachPolicyToRole", "acs:ram:*:*:role/Target")))
    refused(lambda: drive.ram(who).attach_policy_to_role(request), 403, "NoPermission")
    drive.grant("EcsRamRole", document(("Allow", "ram:AttachPolicyToRole", "acs:ram:*:*:policy/*")))
    assert drive.ram(who).attach_policy_to_role(request).status_code == 200


def test_explicit_deny_wins(drive: Drive) -> None:
    """facts/policy.md §4.1: a Deny anywhere wins, also over AdministratorAccess; NoPermissionType ExplicitDeny."""
    who = drive.session("AdministratorAccess", document(("Deny", "ram:List*", "*")))
    error = no_permission(
        drive, lambda: drive.ram(who).list_roles(rm.ListRolesRequest()), "ram:ListRoles", "role/*"
    )
    assert error.data["AccessDeniedDetail"]["NoPermissionType"] == "ExplicitDeny"
    assert drive.ram(who).get_role(rm.GetRoleRequest(role_name="EcsRamRole")).status_code == 200


def test_group_policies_count(drive: Drive) -> None:
    """facts/policy.md §4: identity-based policies of the user's groups; `viewer` reads RAM through `readers`."""
    ram = drive.ram("viewer")
    assert ram.list_roles(rm.ListRolesRequest()).status_code == 200
    edit(drive, "DELETE FROM policy_attachments WHERE entity_type='Group'")
    refused(lambda: ram.list_roles(rm.ListRolesRequest()), 403, "NoPermission")
    assert roles(drive, who="viewer", ids=[WEB])["TotalCount"] == 1, "its own policy still counts"


def test_deny_of_a_group_counts(drive: Drive) -> None:
    """facts/policy.md §4.1: a Deny anywhere."""
    text = document(("Deny", "ecs:Describe*", "*"))
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name="no-ecs", policy_document=text))
    edit(drive, "INSERT INTO policy_attachments VALUES ('Group', 'readers', 'Custom', 'no-ecs', '')")
    refused(lambda: roles(drive, who="viewer", ids=[WEB]), *FORBIDDEN)


# -- session policies (facts/policy.md §4.2; https://www.alibabacloud.com/help/doc-detail/161911.html) ----------------


def test_session_policy_cuts(drive: Drive) -> None:
    """The intersection: an Allow is needed on both sides, and the session policy grants nothing by itself."""
    who = drive.session(
        "AliyunOSSReadOnlyAccess",
        session_policy=document(("Allow", ["oss:ListObjects", "oss:PutObject", "ram:*", "ecs:*"], "*")),
    )
    bucket = drive.bucket(who)
    assert bucket.list_objects().status == 200, "both allow"
    error = refuses(
        lambda: bucket.get_object(PHOTO), 403, "AccessDenied", "Access denied by authorizer's policy."
    )
    assert b"<PolicyType>SessionPolicy</PolicyType>" in error.body
    assert b"<NoPermissionType>ImplicitDeny</NoPermissionType>" in error.body
    refuses(lambda: bucket.put_object("x", b""), 403, "AccessDenied", ec="0003-00000001")
    refused(lambda: drive.ram(who).list_roles(rm.ListRolesRequest()), 403, "NoPermission")
    drive.grant("EcsRamRole", document(("Allow", "*", "*")))
    assert drive.ram(who).list_roles(rm.ListRolesRequest()).status_code == 200
    refuses(lambda: bucket.get_object(PHOTO), 403, "AccessDenied", "Access denied by authorizer's policy.")


def test_deny_in_a_session_policy(drive: Drive) -> None:
    """facts/policy.md §4.1: a Deny in the session policy wins too."""
    who = drive.session(
        "AliyunOSSReadOnlyAccess",
        session_policy=document(("Allow", "*", "*"), ("Deny", "oss:GetObject", "*")),
    )
    error = refuses(lambda: drive.bucket(who).get_object(PHOTO), 403, "AccessDenied")
    assert b"<NoPermissionType>ExplicitDeny</NoPermissionType>" in error.body
    assert drive.bucket(who).list_objects().status == 200


# -- at once (facts/imds.md §3.4, policy.md §4.5) -----------------------------------------------------------------


def may_read(drive: Drive, who: Caller) -> bool:
    try:
        drive.bucket(who).get_object(PHOTO).read()
    except oss2.exceptions.AccessDenied:
        return False
    return True


def test_detached_policy_counts_on_the_next_call(drive: Drive) -> None:
    """facts/imds.md §3.4: detaching a policy from the role takes effect on tokens that are out, at once; and back."""
    who = drive.session("AliyunOSSReadOnlyAccess")
    names = {"policy_type": "System", "policy_name": "AliyunOSSReadOnlyAccess", "role_name": "EcsRamRole"}
    for _ in range(3):
        assert may_read(drive, who)
        drive.ram().detach_policy_from_role(rm.DetachPolicyFromRoleRequest(**names))
        assert not may_read(drive, who)
        drive.ram().attach_policy_to_role(rm.AttachPolicyToRoleRequest(**names))
    assert may_read(drive, who)


def test_deleted_role_kills_its_tokens_and_a_new_one_does_not_revive_them(drive: Drive) -> None:
    """facts/imds.md §3.4: deleting the role "immediately invalidates all unexpired STS tokens for that role"."""
    who = drive.session("AliyunOSSReadOnlyAccess")
    assert may_read(drive, who)
    drive.ram().detach_policy_from_role(
        rm.DetachPolicyFromRoleRequest(
            policy_type="System", policy_name="AliyunOSSReadOnlyAccess", role_name="EcsRamRole"
        )
    )
    drive.ram().delete_role(rm.DeleteRoleRequest(role_name="EcsRamRole"))
    assert not may_read(drive, who)
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    assert not may_read(drive, who), "another role of the same name"
    assert may_read(drive, drive.credential())


def test_detach_from_the_instance_leaves_the_token(drive: Drive) -> None:
    """facts/imds.md §3.4 (inferred): Detach stops IMDS; a token that is out works until it expires."""
    who = drive.session("AliyunOSSReadOnlyAccess")
    drive.detach()
    assert may_read(drive, who)


def test_replaced_role_acts_under_another_identity(drive: Drive) -> None:
    """The page: replacing the role switches the identity; what one may, the other may not."""
    drive.make_role("Reader", "AliyunOSSReadOnlyAccess")
    drive.make_role("Lister", document(("Allow", "oss:ListObjects", "*")))
    drive.attach(role="Reader")
    assert may_read(drive, drive.credential(role="Reader"))
    drive.detach()
    drive.attach(role="Lister")
    lister = drive.credential(role="Lister")
    assert not may_read(drive, lister)
    assert drive.bucket(lister).list_objects().status == 200


# -- conditions and what is not modelled ------------------------------------------------------------------------------


def test_conditions_on_the_request(drive: Drive) -> None:
    """facts/policy.md §3: acs:SourceIp is the instance's address, acs:SecureTransport tells http from https."""

    def reader(condition: dict[str, Any], number: int) -> Caller:
        statement = {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*", "Condition": condition}
        drive.make_role(f"R{number}", document(statement))
        drive.attach(role=f"R{number}")
        who = drive.credential(role=f"R{number}")
        drive.detach()
        return who

    for number, (condition, expected) in enumerate(
        [
            ({"Bool": {"acs:SecureTransport": "true"}}, False),
            ({"Bool": {"acs:SecureTransport": "false"}}, True),
            ({"IpAddress": {"acs:SourceIp": "203.0.113.0/24"}}, True),
            ({"IpAddress": {"acs:SourceIp": "198.51.100.0/24"}}, False),
            ({"NotIpAddress": {"acs:SourceIp": "203.0.113.11"}}, False),
            ({"DateGreaterThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
            ({"DateLessThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ]
    ):
        bucket = drive.bucket(reader(condition, number))
        bucket.proxies = {"http": drive.proxies[WEB]}  # web-1 has the public address 203.0.113.11
        if expected:
            assert bucket.get_object(PHOTO).read()
        else:
            refuses(lambda bucket=bucket: bucket.get_object(PHOTO), 403, "AccessDenied")  # type: ignore[misc]


def test_what_is_not_modelled_is_denied_and_said(drive: Drive) -> None:
    """Design §4: what the evaluator calls UNKNOWN the sandbox denies, with the reason in the journal (ours)."""
    statement = {
        "Effect": "Allow",
        "Action": "oss:GetObject",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"acs:ResourceTag/team": "x"}},
    }
    who = drive.session(document(statement))
    entries = drive.journal_after(
        lambda: refuses(lambda: drive.bucket(who).get_object(PHOTO), 403, "AccessDenied")
    )
    decision = entries[-1]["decisions"][-1]
    assert decision["outcome"] == "UNKNOWN"
    assert decision["because"].startswith("not modelled: ")


def test_journal_names_the_deciding_statement(drive: Drive) -> None:
    """Design §4: who, action, resource, decision and deciding statement, status."""
    who = drive.session(document(("Allow", "oss:List*", "*"), ("Allow", "oss:GetObject", "*")))
    entry = drive.journal_after(lambda: drive.bucket(who).get_object(PHOTO).read())[-1]
    assert (entry["service"], entry["operation"], entry["status"]) == ("Oss", "GetObject", 200)
    assert entry["principal"] == f"acs:ram::{drive.account}:assumed-role/EcsRamRole/vm-ram-{WEB}"
    decision = entry["decisions"][-1]
    assert decision["action"] == "oss:GetObject"
    assert decision["resource"] == f"acs:oss:oss-cn-beijing:{drive.account}:sandbox-photos/{PHOTO}"
    assert (decision["outcome"], decision["policy"], decision["statement"]) == ("ALLOW", "EcsRamRole-0", 1)


# -- the page's sample policy, verbatim -----------------------------------------------------------------------------


def test_operator_has_the_pages_policy_word_for_word(drive: Drive) -> None:
    """../shared/seed "Contoh izin"; tests/data/page_sample_policy.json is the page's text."""
    page = (Path(__file__).parents[1] / "data" / "page_sample_policy.json").read_text()
    request = rm.GetPolicyRequest(policy_type="Custom", policy_name="EcsRamRoleOperator")
    given = drive.ram().get_policy(request).body.default_policy_version.policy_document
    assert [line.strip() for line in given.splitlines()] == [line.strip() for line in page.splitlines()]
    held = drive.ram().list_policies_for_user(rm.ListPoliciesForUserRequest(user_name="operator")).body
    assert [p.policy_name for p in held.policies.policy] == ["EcsRamRoleOperator"]
    assert (
        drive.ram().list_groups_for_user(rm.ListGroupsForUserRequest(user_name="operator")).body.groups.group
        == []
    )


def test_what_operator_may(drive: Drive) -> None:
    """The page: create a role, create a policy, grant, attach, detach (`ecs:DetachInstanceRAMRole`), and look."""
    ram, ecs = drive.ram("operator"), drive.ecs("operator")
    drive.make_role_as("operator", "Mine")
    ram.create_policy(rm.CreatePolicyRequest(policy_name="mine", policy_document=READ_OSS))
    for kind, name in (("Custom", "mine"), ("System", "AliyunOSSReadOnlyAccess")):
        ram.attach_policy_to_role(
            rm.AttachPolicyToRoleRequest(policy_type=kind, policy_name=name, role_name="Mine")
        )
    assert drive.attach(WEB, "Mine", who="operator")["FailCount"] == 0
    assert roles(drive, who="operator", ids=[WEB])["InstanceRamRoleSets"]["InstanceRamRoleSet"][0] == {
        "InstanceId": WEB,
        "RamRoleName": "Mine",
    }
    assert drive.bucket(drive.credential(role="Mine")).get_object(PHOTO).read()
    assert drive.detach(WEB, "Mine", who="operator")["FailCount"] == 0
    assert (
        len(
            ecs.describe_instances(
                em.DescribeInstancesRequest(region_id="cn-beijing")
            ).body.instances.instance
        )
        == 4
    )
    assert ecs.describe_regions(em.DescribeRegionsRequest()).body.regions.region
    assert ram.list_roles(rm.ListRolesRequest()).body.roles.role
    assert ram.get_role(rm.GetRoleRequest(role_name="Mine")).body.role
    assert ram.list_policies_for_role(rm.ListPoliciesForRoleRequest(role_name="Mine")).body.policies.policy
    assert ram.get_user(rm.GetUserRequest(user_name="operator")).body.user


def _operator_refusals(drive: Drive) -> dict[str, tuple[Callable[[], object], str]]:
    ram, ecs = drive.ram("operator"), drive.ecs("operator")
    options = em.ModifyInstanceMetadataOptionsRequest(
        region_id="cn-beijing", instance_id=WEB, http_endpoint="enabled"
    )
    detach = rm.DetachPolicyFromRoleRequest(
        policy_type="System", policy_name="AliyunOSSReadOnlyAccess", role_name="Mine"
    )
    return {
        "ram:DeleteRole": (lambda: ram.delete_role(rm.DeleteRoleRequest(role_name="Mine")), "NoPermission"),
        "ram:UpdateRole": (
            lambda: ram.update_role(rm.UpdateRoleRequest(role_name="Mine", new_description="x")),
            "NoPermission",
        ),
        "ram:DeletePolicy": (
            lambda: ram.delete_policy(rm.DeletePolicyRequest(policy_name="mine")),
            "NoPermission",
        ),
        "ram:DetachPolicyFromRole": (lambda: ram.detach_policy_from_role(detach), "NoPermission"),
        "ecs:ModifyInstanceMetadataOptions": (
            lambda: ecs.modify_instance_metadata_options(options),
            "Forbidden.RAM",
        ),
    }


def test_what_operator_may_not(drive: Drive) -> None:
    """facts/ram.md §6: "it does **not** include DeleteRole/DetachPolicyFromRole/DeletePolicy"; and no OSS at all."""
    drive.make_role("Mine", "AliyunOSSReadOnlyAccess")
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name="mine", policy_document=READ_OSS))
    for action, (call, code) in _operator_refusals(drive).items():
        error = refused(call, 403, code)
        assert error.data["AccessDeniedDetail"]["AuthAction"] == action
    bucket = drive.bucket("operator")
    for oss_call in (
        drive.service("operator").list_buckets,
        bucket.list_objects,
        bucket.list_objects_v2,
        bucket.get_bucket_info,
        bucket.get_bucket_location,
        lambda: bucket.get_object(PHOTO),
        lambda: bucket.head_object(PHOTO),
        lambda: bucket.put_object("x", b""),
        lambda: bucket.delete_object(PHOTO),
    ):
        refuses(oss_call, 403, "AccessDenied", ec="0003-00000001")


def test_every_modelled_operation_is_either_the_operators_or_refused(drive: Drive) -> None:
    """The two lists above are complete: each registered operation that the page's policy does not name is refused."""
    from ramrole_nb.sandbox.openapi import operations

    named = ("ecs:describe", "ecs:list", "ram:describe", "ram:list", "ram:get")
    exact = {"ecs:attachinstanceramrole", "ecs:detachinstanceramrole", "ram:createrole", "ram:createpolicy"}
    exact |= {"ram:attachpolicytorole", "sts:getcalleridentity"}
    beyond = {
        o.action
        for o in operations()
        if not o.action.lower().startswith(named) and o.action.lower() not in exact
    }
    assert beyond == set(_operator_refusals(drive))
