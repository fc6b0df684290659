"""The system policies are valid, labelled, and do what they are known for."""

from __future__ import annotations

import re

import pytest

from ramrole_nb.policy import (
    MAX_CUSTOM_POLICY,
    SYSTEM_POLICIES,
    NamedDocument,
    Request,
    SystemPolicy,
    evaluate,
    parse_policy,
    same_meaning,
)

STAND_INS = {"AliyunOSSFullAccess", "AliyunRAMFullAccess", "AdministratorAccess"}


@pytest.mark.parametrize("policy", SYSTEM_POLICIES.values(), ids=lambda policy: policy.name)
def test_each(policy: SystemPolicy) -> None:
    assert SYSTEM_POLICIES[policy.name] is policy
    assert parse_policy(policy.document).statements
    assert len(policy.document) <= MAX_CUSTOM_POLICY
    assert policy.source.startswith("https://")
    assert re.fullmatch(r"v\d+", policy.version)
    assert policy.verbatim is (policy.name not in STAND_INS)
    assert ("Stand-in" in policy.description) is not policy.verbatim
    for date in (policy.create_date, policy.update_date):
        assert re.fullmatch(r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", date)


@pytest.mark.parametrize(
    ("name", "action", "allowed"),
    [
        ("AliyunOSSReadOnlyAccess", "oss:GetObject", True),
        ("AliyunOSSReadOnlyAccess", "oss:PutObject", False),
        ("AliyunSTSAssumeRoleAccess", "sts:AssumeRole", True),
        ("AliyunECSReadOnlyAccess", "ecs:DescribeInstances", True),
        ("AliyunECSReadOnlyAccess", "ecs:AttachInstanceRamRole", False),
        ("AliyunECSFullAccess", "ecs:AttachInstanceRamRole", True),
        ("AliyunECSFullAccess", "ram:PassRole", False),
        ("AliyunRAMReadOnlyAccess", "ram:GetRole", True),
        ("AliyunRAMReadOnlyAccess", "ram:CreateRole", False),
        ("AliyunRAMFullAccess", "ram:PassRole", True),
        ("AliyunOSSFullAccess", "oss:DeleteBucket", True),
        ("AdministratorAccess", "ram:DeleteRole", True),
    ],
)
def test_what_they_allow(name: str, action: str, allowed: bool) -> None:
    document = NamedDocument(name, "System", parse_policy(SYSTEM_POLICIES[name].document))
    assert evaluate(Request(action, "*"), [document]).allowed is allowed


def test_the_sample_custom_policy_of_the_page_equals_the_system_policy() -> None:
    sample = {
        "Statement": [{"Action": ["oss:Get*", "oss:List*"], "Effect": "Allow", "Resource": "*"}],
        "Version": "1",
    }
    assert same_meaning(SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document, sample)


def test_nobody_can_change_them() -> None:
    with pytest.raises(TypeError):
        SYSTEM_POLICIES["x"] = SYSTEM_POLICIES["AdministratorAccess"]  # type: ignore[index]
