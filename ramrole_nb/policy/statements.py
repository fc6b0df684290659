"""Holding one statement against a request, part by part."""

from __future__ import annotations

from ramrole_nb.policy.conditions import evaluate_condition
from ramrole_nb.policy.documents import Statement
from ramrole_nb.policy.matching import action_matches, resource_match_state
from ramrole_nb.policy.model import NamedDocument, PartState, Request, TraceRow
from ramrole_nb.policy.principals import principal_state
from ramrole_nb.policy.sentences import listed


def trace_statement(request: Request, named: NamedDocument, statement: Statement) -> TraceRow:
    """Hold one statement against the request, part by part: Action, Principal, Resource, Condition.

    Args:
        request: the call.
        named: the document that holds the statement.
        statement: the statement.

    Returns:
        The row; ``matched`` combines the parts.
    """
    action, why = _action_state(statement, request.action)
    principal: PartState = "none" if statement.principal is None else "skipped"
    resource: PartState = "skipped" if statement.resources else "none"
    condition: PartState = "skipped" if statement.condition else "none"
    doubt = ""
    if action == "matched" and statement.principal is not None:
        principal, why = principal_state(statement.principal, request)
        doubt = why
    if action == "matched" and principal != "failed" and statement.resources:
        resource, why = _resource_state(statement.resources, request.resource)
        doubt = doubt or why
    if action == "matched" and "failed" not in (principal, resource) and statement.condition:
        result = evaluate_condition(statement.condition, request.context)
        condition, why = _STATES[result.matched], result.why
        doubt = doubt or why
    states = (action, principal, resource, condition)
    matched = False if "failed" in states else None if "unknown" in states else True
    return TraceRow(
        policy=named.name,
        policy_type=named.type,
        statement=statement.index,
        effect=statement.effect,
        action=action,
        resource=resource,
        condition=condition,
        matched=matched,
        why="matches" if matched else why if matched is False else doubt,
        principal=principal,
    )


_STATES: dict[bool | None, PartState] = {True: "matched", False: "failed", None: "unknown"}


def _action_state(statement: Statement, action: str) -> tuple[PartState, str]:
    if statement.not_actions:
        hit = next((p for p in statement.not_actions if action_matches(p, action)), None)
        return ("matched", "") if hit is None else ("failed", f"NotAction {hit} excludes {action}")
    for pattern in statement.actions:
        if action_matches(pattern, action):
            return "matched", ""
    return "failed", f"Action {listed(statement.actions)} does not match {action}"


def _resource_state(patterns: tuple[str, ...], resource: str) -> tuple[PartState, str]:
    doubt = ""
    for pattern in patterns:
        state = resource_match_state(pattern, resource)
        if state:
            return "matched", ""
        if state is None:
            doubt = f"whether Resource {pattern} covers {resource} is not modelled"
    if doubt:
        return "unknown", doubt
    return "failed", f"Resource {listed(patterns)} does not match {resource}"
