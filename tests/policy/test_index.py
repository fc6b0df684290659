"""The quick way and the trace agree: a decision is what its own trace says, read row by row."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import NamedDocument, Outcome, Request, TraceRow, evaluate, parse_policy
from ramrole_nb.policy.evaluate import Decision
from tests.policy.strategies import named, policies, requests, statements

# Enough statements in one document that the index does not look at each of them.
large = st.lists(statements(), min_size=5, max_size=24).map(lambda s: {"Version": "1", "Statement": s})
PRINCIPALS = ["*", "123", "456", "arn:sts::1:assumed-role/r/*", "arn:sts::*:*/r/s"]


@st.composite
def bucket_policies(draw: st.DrawFn) -> dict[str, Any]:
    source = draw(policies())
    who = st.lists(st.sampled_from(PRINCIPALS), min_size=1, max_size=2)
    return {**source, "Statement": [{**s, "Principal": draw(who)} for s in source["Statement"]]}


def from_trace(decision: Decision, levels: list[list[NamedDocument]]) -> tuple[Any, ...]:
    """Decide by the trace alone, as the rule reads: any Deny, then an Allow at each level, unknown in between."""
    rows = list(decision.trace)
    for row in rows:
        if row.matched and row.effect == "Deny":
            return Outcome.EXPLICIT_DENY, row
    unsure = next((row for row in rows if row.matched is None and row.effect == "Deny"), None)
    granted: TraceRow | None = None
    for level in levels:
        count = sum(len(document.document.statements) for document in level)
        mine, rows = rows[:count], rows[count:]
        grants = [row for row in mine if row.effect == "Allow" and row.matched is not False]
        if not grants:
            near = [row for row in mine if row.effect == "Allow" and row.action == "matched"]
            best = max(near, key=lambda r: (r.condition == "failed", r.resource != "skipped"), default=None)
            return Outcome.IMPLICIT_DENY, best
        certain = [row for row in grants if row.matched]
        granted = certain[0] if certain else granted
        if not certain and unsure is None:
            unsure = grants[0]
    return (Outcome.UNKNOWN, unsure) if unsure else (Outcome.ALLOW, granted)


@given(
    requests,
    st.lists(large | policies(), min_size=1, max_size=3),
    st.none() | large,
    st.none() | bucket_policies(),
)
def test_a_decision_is_what_its_trace_says(
    request: Request, sources: list[Any], session: Any, bucket: Any
) -> None:
    main = [named(i, source) for i, source in enumerate(sources)]
    if bucket is not None:
        main.append(NamedDocument("the bucket's", "Bucket", parse_policy(bucket, "bucket")))
        request = Request(
            request.action,
            request.resource,
            "acs:ram::1:role/r",
            request.context,
            ("123", "arn:sts::1:assumed-role/r/s"),
        )
    limit = None if session is None else NamedDocument("session", "Session", parse_policy(session, "session"))
    levels = ([[limit]] if limit else []) + [main]
    for _ in range(2):  # the second time finds the index made
        decision = evaluate(request, main, session=limit)
        outcome, row = from_trace(decision, levels)
        assert decision.outcome is outcome
        if outcome is Outcome.IMPLICIT_DENY:
            assert decision.matched is None
            assert row is None or f"nearest is {row.place}: {row.why}." in decision.because
        else:
            assert decision.matched == row


def test_a_trace_is_a_sequence_that_is_made_once() -> None:
    document = NamedDocument("p", "Custom", parse_policy({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"},
        {"Effect": "Deny", "Action": "oss:PutObject", "Resource": "*"},
    ]}))  # fmt: skip
    request = Request("oss:GetObject", "acs:oss:*:1:b/k")
    decision = evaluate(request, [document])
    assert decision.trace[0] is decision.trace[0]
    assert decision.trace[-1].effect == "Deny"
    assert decision.trace == evaluate(request, [document]).trace == tuple(decision.trace)
    assert decision == evaluate(request, [document])
    assert len({decision.trace, evaluate(request, [document]).trace}) == 1
    assert repr(decision.trace) == repr(tuple(decision.trace))
    assert copy.deepcopy(decision).trace == decision.trace


def test_ever_new_actions_do_not_fill_the_memory() -> None:
    document = parse_policy(
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    held = [NamedDocument("p", "Custom", document)]
    for k in range(3000):
        assert evaluate(Request(f"oss:Get{k}", "*"), held).allowed
    assert len(document._index._by_action) <= 1024  # type: ignore[attr-defined]
    assert parse_policy(document.source_text) == document, "what is kept beside a document is no part of it"
