"""What must hold for every document and request."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import Outcome, Request, evaluate, parse_policy, same_meaning
from tests.policy.strategies import named, policies, requests, statements

ANY = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
documents = st.lists(policies(), max_size=3)

#: How far an outcome lets a request go; UNKNOWN may turn out either way.
RANK = {Outcome.EXPLICIT_DENY: 0, Outcome.IMPLICIT_DENY: 0, Outcome.UNKNOWN: 1, Outcome.ALLOW: 2}


def outcome(
    request: Request, sources: list[dict[str, Any]], session: dict[str, Any] | None = None
) -> Outcome:
    return evaluate(
        request,
        [named(i, source) for i, source in enumerate(sources)],
        session=None if session is None else named(9, session, "Session"),
    ).outcome


@given(requests, documents, statements("Deny"))
def test_an_added_deny_never_widens(request: Request, sources: list[Any], deny: dict[str, Any]) -> None:
    before = outcome(request, sources)
    after = outcome(request, [*sources, {"Version": "1", "Statement": [deny]}])
    assert RANK[after] <= RANK[before]
    if before is Outcome.EXPLICIT_DENY:
        assert after is Outcome.EXPLICIT_DENY


@given(requests, documents, statements("Allow"))
def test_an_added_allow_never_narrows(request: Request, sources: list[Any], allow: dict[str, Any]) -> None:
    before = outcome(request, sources)
    after = outcome(request, [*sources, {"Version": "1", "Statement": [allow]}])
    assert RANK[after] >= RANK[before]
    if before is Outcome.EXPLICIT_DENY:
        assert after is Outcome.EXPLICIT_DENY


@given(requests, documents, st.randoms(use_true_random=False))
def test_order_never_matters(request: Request, sources: list[Any], random: Any) -> None:
    shuffled = [{**s, "Statement": random.sample(s["Statement"], len(s["Statement"]))} for s in sources]
    random.shuffle(shuffled)
    assert outcome(request, shuffled) is outcome(request, sources)


@given(requests, documents)
def test_one_document_or_many(request: Request, sources: list[Any]) -> None:
    together = [{"Version": "1", "Statement": [s for source in sources for s in source["Statement"]]}]
    assert outcome(request, together if sources else []) is outcome(request, sources)


@given(requests, documents, policies())
def test_a_session_policy_never_widens(request: Request, sources: list[Any], session: Any) -> None:
    assert RANK[outcome(request, sources, session)] <= RANK[outcome(request, sources)]
    assert RANK[outcome(request, sources, ANY)] == RANK[outcome(request, sources)]


@given(requests, documents, policies())
def test_session_and_identity_intersect(request: Request, sources: list[Any], session: Any) -> None:
    both = RANK[outcome(request, sources, session)]
    assert both == min(RANK[outcome(request, sources)], RANK[outcome(request, [session])])


@given(requests, documents)
def test_a_decision_explains_itself(request: Request, sources: list[Any]) -> None:
    decision = evaluate(request, [named(i, source) for i, source in enumerate(sources)])
    assert len(decision.trace) == sum(len(source["Statement"]) for source in sources)
    assert decision.allowed is (decision.outcome is Outcome.ALLOW)
    assert bool(decision.no_permission_type) is not decision.allowed
    assert (decision.matched is None) is (decision.outcome is Outcome.IMPLICIT_DENY)
    for row in decision.trace:
        parts = (row.action, row.principal, row.resource, row.condition)
        assert (row.matched is False) is ("failed" in parts)
        if "failed" in parts:
            assert set(parts[parts.index("failed") + 1 :]) <= {"skipped", "none"}
        else:
            assert "skipped" not in parts
        assert (row.matched is None) is ("unknown" in parts and "failed" not in parts)
    if decision.matched is not None:
        assert decision.matched in decision.trace
        assert decision.matched.place in decision.because


@given(requests, documents, st.sampled_from(["oss:Prefix", "acs:SecureTransport", "acs:ResourceTag/n"]))
def test_unknown_covers_what_the_value_may_turn_out_to_be(
    request: Request, sources: list[Any], key: str
) -> None:
    """A value that is not known only blurs: an answer that is certain without it holds for any value."""
    blurred = Request(request.action, request.resource, context={**request.context, key: None})
    certain = outcome(blurred, sources)
    for value in ("a", "c", "true", "1", "9"):
        told = Request(request.action, request.resource, context={**request.context, key: value})
        sharp = outcome(told, sources)
        if certain is not Outcome.UNKNOWN:
            assert RANK[sharp] == RANK[certain]


@given(policies())
def test_round_trip(policy: dict[str, Any]) -> None:
    document = parse_policy(policy)
    again = parse_policy(document.to_json())
    assert again == document
    assert (
        again.to_json() == document.to_json() == document.source_text
        or parse_policy(document.source_text) == again
    )
    assert same_meaning(document.to_json(indent=2), policy)


@given(policies(), st.randoms(use_true_random=False))
def test_meaning_ignores_layout(policy: dict[str, Any], random: Any) -> None:
    def scramble(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(k, scramble(v)) for k, v in value.items()]
            random.shuffle(items)
            return dict(items)
        if isinstance(value, list):
            return random.sample([scramble(v) for v in value], len(value))
        return value

    assert same_meaning(policy, json.dumps(scramble(policy), indent=3))


@given(policies(), requests)
def test_one_value_is_a_list_of_one(policy: dict[str, Any], request: Request) -> None:
    def unlist(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: v if k == "Statement" else unlist(v) for k, v in value.items()}
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    def enlist(value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    short = {**policy, "Statement": [unlist(s) for s in policy["Statement"]]}
    long = {
        **policy,
        "Statement": [
            {k: v if k == "Effect" else enlist(v) for k, v in s.items()} for s in policy["Statement"]
        ],
    }
    assert parse_policy(short) == parse_policy(long)
    assert same_meaning(short, long)
    assert outcome(request, [short]) is outcome(request, [long])
