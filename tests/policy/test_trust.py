"""The trust policy of the page, and the questions about trust policies."""

from __future__ import annotations

import json

import pytest

from ramrole_nb.policy import (
    MalformedPolicyDocument,
    evaluate_trust,
    parse_policy,
    same_meaning,
    trust_for_service,
    trusts_principal,
    trusts_service,
)

#: Verbatim from
#: https://www.alibabacloud.com/help/id/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
PAGE = """{
     "Statement": [
       {
           "Action": "sts:AssumeRole",
           "Effect": "Allow",
           "Principal": {
             "Service": [
               "ecs.aliyuncs.com"
             ]
           }
       }
     ],
     "Version": "1"
 }"""

ALICE = "acs:ram::1234567890123456:user/alice"
ACCOUNT = PAGE.replace("Service", "RAM").replace("ecs.aliyuncs.com", "acs:ram::1234567890123456:root")


def test_the_page() -> None:
    assert json.loads(trust_for_service()) == json.loads(PAGE)
    assert same_meaning(trust_for_service("ecs.aliyuncs.com"), PAGE)
    assert not same_meaning(trust_for_service("fc.aliyuncs.com"), PAGE)
    assert trusts_service(PAGE)
    assert trusts_service(json.loads(PAGE), "ecs.aliyuncs.com")
    assert trusts_service(parse_policy(PAGE, "trust"))
    assert not trusts_service(PAGE, "fc.aliyuncs.com")


@pytest.mark.parametrize(
    "service", ["", "ecs", "ecs.aliyuncs.com ", "https://ecs.aliyuncs.com", "*", "é.com"]
)
def test_a_service_is_a_name(service: str) -> None:
    with pytest.raises(ValueError, match="no service principal"):
        trust_for_service(service)


def test_principals() -> None:
    assert trusts_principal(ACCOUNT, ALICE)
    assert trusts_principal(ACCOUNT, ALICE, "1234567890123456")
    assert trusts_principal(ACCOUNT, "acs:ram::1234567890123456:assumed-role/r/s")
    assert not trusts_principal(ACCOUNT, "acs:ram::1:user/alice")
    assert not trusts_principal(PAGE, ALICE)


def test_a_condition_leaves_it_open() -> None:
    condition = {"StringEquals": {"sts:ExternalId": "x"}}
    document = json.loads(ACCOUNT)
    document["Statement"][0]["Condition"] = condition
    assert not trusts_principal(document, ALICE)
    assert evaluate_trust(document, arn=ALICE, context={"sts:ExternalId": "x"}).allowed


def test_a_refusal_is_explained() -> None:
    decision = evaluate_trust(ACCOUNT, service="ecs.aliyuncs.com", role="EcsRamRole")
    assert decision.because == (
        "No trust policy allows sts:AssumeRole on EcsRamRole; nearest is Statement[0] of the trust policy: "
        "Principal acs:ram::1234567890123456:root does not name ecs.aliyuncs.com."
    )


def test_one_caller_at_a_time() -> None:
    for callers in ({}, {"service": "a.b", "arn": ALICE}):
        with pytest.raises(ValueError, match="exactly one"):
            evaluate_trust(PAGE, **callers)  # type: ignore[arg-type]


def test_an_identity_policy_is_no_trust_policy() -> None:
    with pytest.raises(MalformedPolicyDocument):
        trusts_service('{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}')
