"""The pieces of a decision that the cases do not show, and its speed."""

from __future__ import annotations

import dataclasses
import timeit

import pytest

from ramrole_nb.policy import (
    SYSTEM_POLICIES,
    NamedDocument,
    Outcome,
    Request,
    evaluate,
    parse_policy,
    read_objects,
    trust_for_service,
)

KEY = "acs:oss:oss-cn-beijing:123:my-bucket/photos/a.png"
READ_ALL = NamedDocument(
    "AliyunOSSReadOnlyAccess", "System", parse_policy(SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document)
)
MINE = NamedDocument("mine", "Custom", parse_policy(read_objects("my-bucket", "photos/")))


def test_an_allow_names_its_statement() -> None:
    decision = evaluate(Request("oss:GetObject", KEY), [READ_ALL])
    assert decision.outcome is Outcome.ALLOW
    assert decision.because == f"Statement[0] of AliyunOSSReadOnlyAccess allows oss:GetObject on {KEY}."
    assert decision.no_permission_type == ""
    assert decision.matched is not None
    assert (decision.matched.policy, decision.matched.policy_type) == ("AliyunOSSReadOnlyAccess", "System")
    assert decision.matched.why == "matches"


def test_the_trace_says_which_part_failed_on_what() -> None:
    decision = evaluate(Request("oss:GetObject", "acs:oss:oss-cn-beijing:123:other/k"), [MINE])
    first, second = decision.trace
    assert (first.action, first.resource, first.condition) == ("matched", "failed", "none")
    assert (
        first.why
        == "Resource acs:oss:*:*:my-bucket/photos/* does not match acs:oss:oss-cn-beijing:123:other/k"
    )
    assert (second.action, second.resource, second.condition) == ("failed", "skipped", "skipped")
    assert second.why == "Action oss:ListObjects does not match oss:GetObject"
    assert decision.no_permission_type == "ImplicitDeny"


def test_an_explicit_deny_says_so() -> None:
    statement = '{"Effect":"Deny","Action":"oss:Get*","Resource":"acs:oss:*:*:my-bucket/*"}'
    deny = f'{{"Version":"1","Statement":[{statement}]}}'
    decision = evaluate(
        Request("oss:GetObject", KEY), [READ_ALL, NamedDocument("stop", "Custom", parse_policy(deny))]
    )
    assert decision.no_permission_type == "ExplicitDeny"
    assert decision.because == f"Statement[0] of stop explicitly denies oss:GetObject on {KEY}."


def test_what_is_unknown_is_refused_and_explained() -> None:
    text = read_objects("my-bucket").replace("acs:oss:*:*:my-bucket/*", "acs:oss:*:*:${acs:bucket}/*")
    decision = evaluate(Request("oss:GetObject", KEY), [NamedDocument("vars", "Custom", parse_policy(text))])
    assert (decision.outcome, decision.allowed) == (Outcome.UNKNOWN, False)
    assert decision.no_permission_type == "ImplicitDeny"
    assert decision.because == (
        "Whether Statement[0] of vars allows oss:GetObject cannot be told: "
        f"whether Resource acs:oss:*:*:${{acs:bucket}}/* covers {KEY} is not modelled."
    )


def test_a_long_list_stays_a_sentence() -> None:
    actions = [f'"oss:A{i}"' for i in range(40)]
    text = (
        f'{{"Version":"1","Statement":[{{"Effect":"Allow","Action":[{",".join(actions)}],"Resource":"*"}}]}}'
    )
    decision = evaluate(Request("oss:GetObject", KEY), [NamedDocument("long", "Custom", parse_policy(text))])
    assert decision.trace[0].why == "Action oss:A0, oss:A1, oss:A2 and 37 more does not match oss:GetObject"


def test_documents_may_come_from_an_iterator() -> None:
    request = Request("oss:GetObject", KEY)
    assert evaluate(request, iter([READ_ALL]), control=iter([READ_ALL])).allowed
    assert not evaluate(request, iter([]), control=iter([READ_ALL])).allowed


def test_the_role_of_a_document_decides_how_it_is_reported() -> None:
    deny = parse_policy('{"Version":"1","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}')
    stop, request = NamedDocument("stop", "Custom", deny), Request("oss:GetObject", KEY)
    assert evaluate(request, [READ_ALL], session=stop).policy_type == "SessionPolicy"
    assert evaluate(request, [READ_ALL], control=[stop]).policy_type == "ControlPolicy"
    assert evaluate(request, [READ_ALL, stop]).policy_type == "AccountLevelIdentityBasedPolicy"


def test_a_trust_policy_is_refused() -> None:
    trust = NamedDocument("trust", "Trust", parse_policy(trust_for_service(), "trust"))
    with pytest.raises(ValueError, match="evaluate_trust"):
        evaluate(Request("sts:AssumeRole", "*"), [trust])


def test_values_are_frozen() -> None:
    request = Request("oss:GetObject", KEY)
    for value, name in ((request, "action"), (READ_ALL, "name"), (evaluate(request, []), "outcome")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "x")
    assert Request("a:b", "*") == Request("a:b", "*", context={})
    assert hash(Request("a:b", "*")) == hash(Request("a:b", "*"))


def test_a_decision_is_cheap() -> None:
    """The sandbox decides every request; the bound is ten times what a slow machine needs."""
    request = Request(
        "oss:GetObject", KEY, context={"acs:SourceIp": "10.0.0.1", "acs:SecureTransport": "true"}
    )
    best = min(timeit.repeat(lambda: evaluate(request, [READ_ALL, MINE]), number=200, repeat=5)) / 200
    assert best < 500e-6
