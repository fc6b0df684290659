"""Roles and policies: what both the sandbox and the real service must answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.errors import Conflict, InvalidRequest, NotFound, ServiceError

if TYPE_CHECKING:
    from tests.contract.conftest import Session

READ = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:ramrole-test-none/*"}
    ],
}


def refusal(call: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call()
    error = caught.value
    assert error.request_id
    assert error.message
    assert str(error)
    return error


def test_who_one_is(session: Session) -> None:
    who = session.cloud.identity()
    assert re.fullmatch(r"\d{16}", who.account_id)
    assert who.type in {"Account", "RAMUser", "AssumedRoleUser"}
    assert who.arn.startswith(f"acs:ram::{who.account_id}:")


def test_the_life_of_a_role(session: Session) -> None:
    roles, name = session.cloud.roles, session.name()
    role = roles.create(name, description="a test of ramrole_nb", max_session_duration=7200)
    assert role.arn.startswith(f"acs:ram::{session.cloud.identity().account_id}:role/")
    read = roles[name]
    assert (read.role_id, read.description, read.max_session_duration) == (
        role.role_id,
        role.description,
        7200,
    )
    assert read.trusts_ecs
    assert rr.policy.same_meaning(read.trust_policy, role.trust_policy)
    assert name in [r.name for r in roles]
    assert roles.create(name).role_id == role.role_id  # the same trust: the same role
    other = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "fc.aliyuncs.com"}}
        ],
    }
    with pytest.raises(Conflict):
        roles.create(name, trust=other)
    assert not role.set_trust(other).trusts_ecs
    assert not roles[name].trusts_ecs
    role.delete()
    assert name not in roles


def test_grant_and_revoke(session: Session) -> None:
    role = session.cloud.roles.create(session.name())
    role.grant("AliyunOSSReadOnlyAccess")
    made = role.grant(READ)
    assert role.grant(READ).name == made.name
    assert {(p.name, p.type) for p in role.policies()} == {
        ("AliyunOSSReadOnlyAccess", "System"),
        (made.name, "Custom"),
    }
    held = refusal(role.delete)
    assert (type(held), held.code, held.status) == (Conflict, "DeleteConflict.Role.Policy", 409)
    role.revoke("AliyunOSSReadOnlyAccess")
    role.revoke(made.name)
    assert role.policies() == []


def test_a_second_role_of_the_name(session: Session) -> None:
    name, calls = session.name(), session.cloud.context.calls
    role = session.cloud.roles.create(name)
    error = refusal(
        lambda: calls.ram("CreateRole", role_name=name, assume_role_policy_document=role.trust_policy)
    )
    assert (type(error), error.code, error.status) == (Conflict, "EntityAlreadyExists.Role", 409)


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("GetRole", {}, "EntityNotExist.Role"),
        ("DeleteRole", {}, "EntityNotExist.Role"),
        ("ListPoliciesForRole", {}, "EntityNotExist.Role"),
        (
            "AttachPolicyToRole",
            {"policy_type": "System", "policy_name": "AliyunOSSReadOnlyAccess"},
            "EntityNotExist.Role",
        ),
    ],
)
def test_a_role_that_is_not_there(session: Session, action: str, params: dict[str, str], code: str) -> None:
    error = refusal(lambda: session.cloud.context.calls.ram(action, role_name=session.name(), **params))
    assert (type(error), error.code, error.status) == (NotFound, code, 404)


def test_policies_that_are_not_there(session: Session) -> None:
    calls, role = session.cloud.context.calls, session.cloud.roles.create(session.name())
    none = session.name()
    for kind in ("Custom", "System"):
        error = refusal(lambda kind=kind: calls.ram("GetPolicy", policy_type=kind, policy_name=none))
        assert (type(error), error.code) == (NotFound, "EntityNotExist.Policy")
    error = refusal(
        lambda: calls.ram("AttachPolicyToRole", policy_type="Custom", policy_name=none, role_name=role.name)
    )
    assert (type(error), error.code) == (NotFound, "EntityNotExist.Policy")
    error = refusal(
        lambda: calls.ram(
            "DetachPolicyFromRole",
            policy_type="System",
            policy_name="AliyunOSSReadOnlyAccess",
            role_name=role.name,
        )
    )
    assert (type(error), error.code) == (NotFound, "EntityNotExist.Role.Policy")


@pytest.mark.parametrize(
    "document",
    [
        "{",
        '{"Version":"1"}',
        '{"Version":"1","Statement":[{"Effect":"Maybe","Action":"oss:GetObject","Resource":"*"}]}',
        '{"Version":"9","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}]}',
    ],
)
def test_a_malformed_policy(session: Session, document: str) -> None:
    """Sent past our own check: the service has the same opinion."""
    with pytest.raises(ValueError, match=r"."):
        rr.policy.parse_policy(document)
    name, context = session.name(), session.cloud.context

    def create() -> None:
        with context.creating("policy", name):  # should it be taken after all, it is removed
            context.calls.ram("CreatePolicy", policy_name=name, policy_document=document)

    error = refusal(create)
    assert (type(error), error.code, error.status) == (InvalidRequest, "MalformedPolicyDocument", 400)


def test_a_malformed_trust_policy(session: Session) -> None:
    name, context = session.name(), session.cloud.context

    def create() -> None:
        with context.creating("role", name):
            context.calls.ram("CreateRole", role_name=name, assume_role_policy_document='{"Version":"1"}')

    error = refusal(create)
    assert isinstance(error, InvalidRequest)
    assert error.code.startswith("MalformedPolicyDocument") or "PolicyDocument" in error.code
