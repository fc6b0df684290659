"""AssumeRole through alibabacloud_sts20150401, and what its sessions may do.

facts/signing.md §8 (parameters, answer, errors), facts/policy.md §4 (intersection, trust), facts/ram.md §7.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import oss2
import pytest
from alibabacloud_ram20150501 import models as rm
from alibabacloud_sts20150401 import models as sm

from tests.sandbox.drive import ECS_TRUST, Caller, Drive, document, refused
from tests.sandbox.vendor import demo, same_shape

ROLE = "Deploy"


def trust(*principals: str, **more: Any) -> str:
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"RAM": list(principals)}}
    return json.dumps({"Version": "1", "Statement": [{**statement, **more}]})


def root(drive: Drive) -> str:
    return f"acs:ram::{drive.account}:root"


def assume(drive: Drive, who: str | Caller = "admin", role: str = ROLE, **more: Any) -> dict[str, Any]:
    arn = role if ":" in role else f"acs:ram::{drive.account}:role/{role}"
    given = {"role_arn": arn, "role_session_name": "alice", **more}
    answer = drive.sts(who).assume_role(sm.AssumeRoleRequest(**given))
    found: dict[str, Any] = answer.body.to_map()
    return found


def caller(found: dict[str, Any]) -> Caller:
    given = found["Credentials"]
    return Caller(given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"])


def grant_user(drive: Drive, user: str, *statements: Any) -> None:
    """Give a user a policy; RAM's operations on users are out of scope, so straight into the state."""
    name = f"for-{user}"
    drive.ram().create_policy(rm.CreatePolicyRequest(policy_name=name, policy_document=document(*statements)))
    drive.make_role("Carrier")
    drive.ram().attach_policy_to_role(
        rm.AttachPolicyToRoleRequest(policy_type="Custom", policy_name=name, role_name="Carrier")
    )
    with sqlite3.connect(drive.sandbox.state / "state.db") as db:
        db.execute(
            "UPDATE policy_attachments SET entity_type='User', entity_name=? WHERE entity_name='Carrier'",
            (user,),
        )
    db.close()
    drive.ram().delete_role(rm.DeleteRoleRequest(role_name="Carrier"))  # caches hang on changes by the API


def test_assume(drive: Drive) -> None:
    """facts/signing.md §8: the documented answer, `role/<role>/<session>` in it; valid an hour by default."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    found = assume(drive)
    same_shape(demo("sts", "AssumeRole"), found)
    role = drive.ram().get_role(rm.GetRoleRequest(role_name=ROLE)).body.role
    assert found["AssumedRoleUser"] == {
        "Arn": f"acs:ram::{drive.account}:role/{ROLE}/alice",
        "AssumedRoleId": f"{role.role_id}:alice",
    }
    assert found["Credentials"]["AccessKeyId"].startswith("STS.")
    end = time.mktime(time.strptime(found["Credentials"]["Expiration"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert 3590 <= end - time.time() <= 3601
    assert "SourceIdentity" not in found


def test_who_the_session_is(drive: Drive) -> None:
    """facts/signing.md §8: GetCallerIdentity shows `assumed-role/` and has RoleId, no UserId."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    session = caller(assume(drive))
    who = drive.sts(session).get_caller_identity().body.to_map()
    assert who["Arn"] == f"acs:ram::{drive.account}:assumed-role/{ROLE}/alice"
    assert who["IdentityType"] == "AssumedRoleUser"
    assert who["PrincipalId"] == f"{who['RoleId']}:alice"
    assert "UserId" not in who


def test_what_the_session_may_do(drive: Drive) -> None:
    """The role's policies count, not the caller's: admin becomes less."""
    drive.make_role(ROLE, "AliyunOSSReadOnlyAccess", trust=trust(root(drive)))
    session = caller(assume(drive))
    assert drive.bucket(session).get_object("testfolder/notes.txt").read()
    error = refused(lambda: drive.ram(session).list_roles(rm.ListRolesRequest()), 403, "NoPermission")
    assert error.access_denied_detail["AuthPrincipalDisplayName"] == f"{ROLE}:alice"


def test_session_policy(drive: Drive) -> None:
    """facts/policy.md §4: the intersection of the role's policies and the session policy."""
    drive.make_role(ROLE, "AliyunOSSReadOnlyAccess", trust=trust(root(drive)))
    narrow = document(
        ("Allow", "oss:GetObject", "acs:oss:*:*:sandbox-photos/testfolder/*"),
        ("Allow", "oss:PutObject", "*"),
    )
    session = caller(assume(drive, policy=narrow))
    bucket = drive.bucket(session)
    assert bucket.get_object("testfolder/notes.txt").read()
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("reports/2026/sales.csv")
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_object("testfolder/new.txt", b"x")


@pytest.mark.parametrize("principal", ["root", "user/admin"])
def test_trust_names_the_caller(drive: Drive, principal: str) -> None:
    drive.make_role(ROLE, trust=trust(f"acs:ram::{drive.account}:{principal}"))
    assert assume(drive)


@pytest.mark.parametrize("principal", ["user/viewer", "role/Other", "user/admin2"])
def test_trust_names_somebody_else(drive: Drive, principal: str) -> None:
    """facts/policy.md §4.3: the trust policy must name the caller; PolicyType AssumeRolePolicy."""
    drive.make_role(ROLE, trust=trust(f"acs:ram::{drive.account}:{principal}"))
    error = refused(
        lambda: assume(drive),
        403,
        "NoPermission",
        "You are not authorized to do this action. You should be authorized by RAM.",
    )
    assert error.access_denied_detail["PolicyType"] == "AssumeRolePolicy"
    assert error.access_denied_detail["NoPermissionType"] == "ImplicitDeny"


def test_a_service_role_refuses_users(drive: Drive) -> None:
    """facts/ram.md §7: RAM users cannot assume a role whose only trusted entity is a service."""
    drive.make_role(ROLE, trust=ECS_TRUST)
    error = refused(lambda: assume(drive), 403, "NoPermission")
    assert error.access_denied_detail["PolicyType"] == "AssumeRolePolicy"


def test_the_caller_needs_the_permission_too(drive: Drive) -> None:
    """facts/policy.md §4.3: the caller's identity policy must allow sts:AssumeRole on the role."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    drive.make_role("Other", trust=trust(root(drive)))
    error = refused(lambda: assume(drive, "viewer"), 403, "NoPermission")
    assert error.access_denied_detail["PolicyType"] == "AccountLevelIdentityBasedPolicy"
    assert error.access_denied_detail["AuthAction"] == "sts:AssumeRole"
    grant_user(drive, "viewer", ("Allow", "sts:AssumeRole", f"acs:ram:*:{drive.account}:role/{ROLE}"))
    assert assume(drive, "viewer")
    refused(lambda: assume(drive, "viewer", "Other"), 403, "NoPermission")


def test_a_role_takes_a_role(drive: Drive) -> None:
    """A chain: the second role trusts the first, whose policies allow it."""
    drive.make_role("First", "AliyunSTSAssumeRoleAccess", trust=trust(root(drive)))
    drive.make_role(ROLE, trust=trust(f"acs:ram::{drive.account}:role/First"))
    refused(lambda: assume(drive), 403, "NoPermission")
    first = caller(assume(drive, role="First"))
    found = assume(drive, first)
    assert found["AssumedRoleUser"]["Arn"].endswith(f"role/{ROLE}/alice")


def test_source_identity_stays(drive: Drive) -> None:
    """The SourceIdentity page: kept along a chain, cannot be changed; the refusal's code is ours."""
    drive.make_role("First", "AliyunSTSAssumeRoleAccess", trust=trust(root(drive)))
    drive.make_role(ROLE, trust=trust(root(drive)))
    found = assume(drive, role="First", source_identity="Alice")
    assert found["SourceIdentity"] == "Alice"
    first = caller(found)
    assert assume(drive, first)["SourceIdentity"] == "Alice"
    assert assume(drive, first, source_identity="Alice")["SourceIdentity"] == "Alice"
    refused(lambda: assume(drive, first, source_identity="Bob"), 403, "NoPermission.SourceIdentity")


def test_external_id(drive: Drive) -> None:
    """A trust policy may ask for the external id."""
    condition = {"StringEquals": {"sts:ExternalId": "abcd1234"}}
    drive.make_role(ROLE, trust=trust(root(drive), Condition=condition))
    assert assume(drive, external_id="abcd1234")
    refused(lambda: assume(drive, external_id="abcd1235"), 403, "NoPermission")
    refused(lambda: assume(drive), 403, "NoPermission")


@pytest.mark.parametrize(
    ("more", "seconds", "good"),
    [
        ({"duration_seconds": 900}, 3600, True),
        ({"duration_seconds": 899}, 3600, False),
        ({"duration_seconds": 3600}, 3600, True),
        ({"duration_seconds": 3601}, 3600, False),
        ({"duration_seconds": 43200}, 43200, True),
        ({"duration_seconds": 43201}, 43200, False),
        ({"duration_seconds": -900}, 3600, False),
    ],
)
def test_duration(drive: Drive, more: dict[str, Any], seconds: int, good: bool) -> None:
    """facts/signing.md §8: 900 to the role's MaxSessionDuration."""
    drive.ram().create_role(
        rm.CreateRoleRequest(
            role_name=ROLE, assume_role_policy_document=trust(root(drive)), max_session_duration=seconds
        )
    )
    if good:
        assert assume(drive, **more)
    else:
        refused(
            lambda: assume(drive, **more),
            400,
            "InvalidParameter.DurationSeconds",
            "The Min/Max value of DurationSeconds is 15min/1hr.",
        )


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("RoleArn", {"role_arn": "Deploy"}),
        ("RoleArn", {"role_arn": "acs:ram::1:user/x"}),
        ("RoleArn", {"role_arn": "arn:aws:iam::1:role/x"}),
        ("RoleSessionName", {"role_session_name": "a"}),
        ("RoleSessionName", {"role_session_name": "a" * 65}),
        ("RoleSessionName", {"role_session_name": "a b"}),
        ("RoleSessionName", {"role_session_name": "a=b"}),
        ("ExternalId", {"external_id": "a"}),
        ("ExternalId", {"external_id": "a" * 1225}),
        ("ExternalId", {"external_id": "a b"}),
        ("SourceIdentity", {"source_identity": "a/b"}),
    ],
)
def test_wrongly_formed(drive: Drive, code: str, more: dict[str, Any]) -> None:
    """facts/signing.md §8; SourceIdentity's code is ours."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    refused(
        lambda: assume(drive, **more),
        400,
        f"InvalidParameter.{code}",
        f"The parameter {code} is wrongly formed.",
    )


@pytest.mark.parametrize("name", ["aa", "a" * 64, "a.b@c-d_e"])
def test_session_names(drive: Drive, name: str) -> None:
    drive.make_role(ROLE, trust=trust(root(drive)))
    assert assume(drive, role_session_name=name)["AssumedRoleUser"]["Arn"].endswith(f"/{name}")


def test_policy_limits(drive: Drive) -> None:
    """facts/signing.md §8: PolicySize above 2048 bytes, PolicyGrammar."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    text = document(("Allow", "oss:*", "*"))
    assert assume(drive, policy=text + " " * (2048 - len(text)))
    refused(
        lambda: assume(drive, policy=text + " " * (2049 - len(text))),
        400,
        "InvalidParameter.PolicySize",
        "The size of Policy must be smaller than 2048 bytes.",
    )
    refused(
        lambda: assume(drive, policy='{"Version":"1"}'),
        400,
        "InvalidParameter.PolicyGrammar",
        "The parameter Policy has not passed grammar check.",
    )


def test_missing(drive: Drive) -> None:
    """facts/signing.md §4: Missing{ParameterName}."""
    client = drive.sts()
    refused(
        lambda: client.assume_role(sm.AssumeRoleRequest(role_session_name="alice")),
        400,
        "MissingRoleArn",
        "RoleArn is mandatory for this action.",
    )
    refused(
        lambda: client.assume_role(sm.AssumeRoleRequest(role_arn="acs:ram::1:role/x")),
        400,
        "MissingRoleSessionName",
    )


def test_no_such_role(drive: Drive) -> None:
    """facts/signing.md §8: the text with its blank. Another account's role is not there either (ours)."""
    message = "The specified Role not exists ."
    refused(lambda: assume(drive, role="NoSuch"), 404, "EntityNotExist.Role", message)
    refused(
        lambda: assume(drive, role="acs:ram::1234567890123456:role/NoSuch"),
        404,
        "EntityNotExist.Role",
        message,
    )


def test_the_session_ends_with_the_role(drive: Drive) -> None:
    """facts/policy.md §4.5: a role deleted takes the permissions of its sessions with it."""
    drive.make_role(ROLE, trust=trust(root(drive)))
    drive.grant(ROLE, "AliyunRAMReadOnlyAccess")
    session = caller(assume(drive))
    assert drive.ram(session).list_roles(rm.ListRolesRequest())
    drive.ram().detach_policy_from_role(
        rm.DetachPolicyFromRoleRequest(
            policy_type="System", policy_name="AliyunRAMReadOnlyAccess", role_name=ROLE
        )
    )
    refused(lambda: drive.ram(session).list_roles(rm.ListRolesRequest()), 403, "NoPermission")
