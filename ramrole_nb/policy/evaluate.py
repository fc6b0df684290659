"""Deciding a request against policy documents, with a trace that says why.

Order (https://www.alibabacloud.com/help/en/ram/policy-evaluation-process): an explicit Deny anywhere wins;
the control policy must allow; a session policy must allow; then identity-based policies and the bucket policy
together. What is not modelled ends in `Outcome.UNKNOWN`, unless the answer is the same whichever way it turns
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ramrole_nb.policy.index import Asked, Prepared, Shelf, index_of
from ramrole_nb.policy.model import (
    REPORTED_TYPE,
    Decision,
    NamedDocument,
    Outcome,
    PolicyType,
    Request,
    Trace,
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
        The decision with one trace row per statement, control first, then session, then the rest. The trace is
        worked out when it is first looked at.

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
    asked = Asked(request)
    unsure: _Place | None = None
    shelves = [
        [(named, *index_of(named.document).of(asked.action)) for named in level.documents] for level in levels
    ]
    for row_of_shelves in shelves:
        for named, denies, _ in row_of_shelves:
            for one in denies.near(asked.resource):
                verdict, _failed = one.judge(asked)
                if verdict:
                    row = trace_statement(request, named, one.statement)
                    because = f"{row.place} explicitly denies {request.action} on {request.resource}."
                    reported = REPORTED_TYPE[row.policy_type]
                    return Decision(Outcome.EXPLICIT_DENY, because, row, _trace(request, levels), reported)
                if verdict is None and unsure is None:
                    unsure = named, one
    granted: _Place | None = None
    for level, row_of_shelves in zip(levels, shelves, strict=True):
        certain, possible = _grants(asked, row_of_shelves)
        if certain is None and possible is None:
            # No reading of the unknown parts makes this level allow, so the request is refused for certain.
            because = _no_allow(asked, level, row_of_shelves)
            return Decision(Outcome.IMPLICIT_DENY, because, None, _trace(request, levels), level.reported)
        granted = certain or granted
        if certain is None and unsure is None:
            unsure = possible
    deciding = unsure or granted
    if deciding is None:
        raise ValueError("decide needs at least one level")
    row = trace_statement(request, deciding[0], deciding[1].statement)
    if unsure is not None:
        verb = "denies" if row.effect == "Deny" else "allows"
        because = f"Whether {row.place} {verb} {request.action} cannot be told: {row.why}."
        outcome = Outcome.UNKNOWN
    else:
        because = f"{row.place} allows {request.action} on {request.resource}."
        outcome = Outcome.ALLOW
    return Decision(outcome, because, row, _trace(request, levels), REPORTED_TYPE[row.policy_type])


_Place = tuple[NamedDocument, Prepared]
#: The documents of a level, each with the statements that deny and those that allow the action.
_Shelves = Sequence[tuple[NamedDocument, Shelf, Shelf]]


def _grants(asked: Asked, shelves: _Shelves) -> tuple[_Place | None, _Place | None]:
    """Return the first statement of a level that allows; without one, the first that may."""
    possible: _Place | None = None
    for named, _, allows in shelves:
        for one in allows.near(asked.resource):
            verdict, _failed = one.judge(asked)
            if verdict:
                return (named, one), None
            if verdict is None and possible is None:
                possible = named, one
    return None, possible


def _trace(request: Request, levels: Sequence[Level]) -> Trace:
    return Trace(
        lambda: tuple(
            trace_statement(request, named, statement)
            for level in levels
            for named in level.documents
            for statement in named.document.statements
        )
    )


def _no_allow(asked: Asked, level: Level, shelves: _Shelves) -> str:
    request = asked.request
    call = f"{request.action} on {request.resource}"
    if not level.documents:
        return f"Nothing allows {call}: no {level.noun} is attached."
    nearest = _nearest(asked, shelves)
    if nearest is not None:
        row = trace_statement(request, nearest[0], nearest[1].statement)
        return f"No {level.noun} allows {call}; nearest is {row.place}: {row.why}."
    names = listed(tuple(dict.fromkeys(named.name for named in level.documents)))
    return f"No {level.noun} allows {call}: no Allow statement of {names} covers the action."


def _nearest(asked: Asked, shelves: _Shelves) -> _Place | None:
    """Return the Allow statement that got furthest: one that failed by its condition, else by its resource."""
    nearest: _Place | None = None
    rank = 0
    for named, _, allows in shelves:
        near = set(map(id, allows.near(asked.resource)))
        for one in allows.statements:
            if id(one) in near or one.statement.principal is not None:
                found = _FURTHEST.get(one.judge(asked)[1], 1)
            else:
                found = _FURTHEST["resource"]
            if found > rank:
                nearest, rank = (named, one), found
    return nearest


_FURTHEST = {"condition": 3, "resource": 2}
