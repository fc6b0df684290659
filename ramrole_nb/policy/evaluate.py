"""Deciding a request against policy documents, with a trace that says why.

Order (https://www.alibabacloud.com/help/en/ram/policy-evaluation-process): an explicit Deny anywhere wins;
the control policy must allow; a session policy must allow; then identity-based policies and the bucket policy
together. What is not modelled ends in `Outcome.UNKNOWN`, unless the answer is the same whichever way it turns
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ramrole_nb.policy.model import (
    REPORTED_TYPE,
    Decision,
    NamedDocument,
    Outcome,
    PolicyType,
    Request,
    TraceRow,
)
from ramrole_nb.policy.sentences import listed
from ramrole_nb.policy.statements import trace_statement

__all__ = ["Decision", "Level", "NamedDocument", "Outcome", "Request", "TraceRow", "decide", "evaluate"]


def evaluate(
    request: Request,
    documents: Iterable[NamedDocument],
    *,
    session: NamedDocument | None = None,
    control: Iterable[NamedDocument] = (),
) -> Decision:
    """Decide a request.

    Args:
        request: the call.
        documents: the caller's identity policies and the bucket's policy, in any order.
        session: the session policy, when the STS session carries one.
        control: the control policies of the resource directory; none given means that none applies.

    Returns:
        The decision with one trace row per statement, control first, then session, then the rest.

    Raises:
        ValueError: a trust policy was passed; `ramrole_nb.policy.trust.evaluate_trust` decides those.
    """
    main = tuple(documents)
    if any(named.type == "Trust" for named in main):
        raise ValueError("a trust policy grants nothing but sts:AssumeRole; use evaluate_trust for it")
    levels = []
    if limits := tuple(_as_type(named, "Control") for named in control):
        levels.append(Level(REPORTED_TYPE["Control"], "control policy", limits))
    if session is not None:
        levels.append(Level(REPORTED_TYPE["Session"], "session policy", (_as_type(session, "Session"),)))
    levels.append(Level(REPORTED_TYPE["Custom"], "policy", main))
    return decide(request, levels)


def _as_type(named: NamedDocument, policy_type: PolicyType) -> NamedDocument:
    """The role in which a document was passed decides how a refusal by it is reported."""
    return named if named.type == policy_type else replace(named, type=policy_type)


@dataclass(frozen=True, slots=True)
class Level:
    """Documents that are read together: one of them must allow. ``noun`` names them in sentences."""

    reported: str
    noun: str
    documents: tuple[NamedDocument, ...]


def decide(request: Request, levels: Sequence[Level]) -> Decision:
    """Combine levels: a Deny in any wins, and each must allow.

    Args:
        request: the call.
        levels: in the order in which a missing Allow is reported; at least one.

    Returns:
        The decision.
    """
    traces = [
        [trace_statement(request, named, s) for named in level.documents for s in named.document.statements]
        for level in levels
    ]
    trace = tuple(row for rows in traces for row in rows)
    for row in trace:
        if row.matched and row.effect == "Deny":
            because = f"{row.place} explicitly denies {request.action} on {request.resource}."
            return Decision(Outcome.EXPLICIT_DENY, because, row, trace, REPORTED_TYPE[row.policy_type])
    unsure = next((row for row in trace if row.matched is None and row.effect == "Deny"), None)
    granted: list[TraceRow] = []
    for level, rows in zip(levels, traces, strict=True):
        grants = [row for row in rows if row.effect == "Allow" and row.matched is not False]
        if not grants:
            # No reading of the unknown parts makes this level allow, so the request is refused for certain.
            return Decision(
                Outcome.IMPLICIT_DENY, _no_allow(request, level, rows), None, trace, level.reported
            )
        certain = [row for row in grants if row.matched]
        granted += certain[:1]
        if not certain and unsure is None:
            unsure = grants[0]
    if unsure is not None:
        verb = "denies" if unsure.effect == "Deny" else "allows"
        because = f"Whether {unsure.place} {verb} {request.action} cannot be told: {unsure.why}."
        return Decision(Outcome.UNKNOWN, because, unsure, trace, REPORTED_TYPE[unsure.policy_type])
    allow = granted[-1]
    because = f"{allow.place} allows {request.action} on {request.resource}."
    return Decision(Outcome.ALLOW, because, allow, trace, REPORTED_TYPE[allow.policy_type])


def _no_allow(request: Request, level: Level, rows: Sequence[TraceRow]) -> str:
    call = f"{request.action} on {request.resource}"
    if not level.documents:
        return f"Nothing allows {call}: no {level.noun} is attached."
    near = [row for row in rows if row.effect == "Allow" and row.action == "matched"]
    if near:
        # The statement that got furthest tells most: its condition before its resource.
        row = max(near, key=lambda r: (r.condition == "failed", r.resource != "skipped"))
        return f"No {level.noun} allows {call}; nearest is {row.place}: {row.why}."
    names = listed(tuple(dict.fromkeys(named.name for named in level.documents)))
    return f"No {level.noun} allows {call}: no Allow statement of {names} covers the action."
