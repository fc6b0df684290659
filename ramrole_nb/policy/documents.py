"""Reading RAM policy documents: strict validation, frozen values, equality of meaning.

Grammar: https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax and
https://www.alibabacloud.com/help/en/ram/policy-elements. The checks mirror the vendor's own
(https://help.aliyun.com/en/ram/permission-policy-check), which answers ``MalformedPolicyDocument``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, get_args

from ramrole_nb.policy.elements import PolicyKind, fail, named, read_statement, shown, unknown
from ramrole_nb.policy.values import (
    ConditionTest,
    MalformedPolicyDocument,
    PolicyDocument,
    Principal,
    Statement,
    dump,
)

__all__ = [
    "MAX_ASSUME_SESSION_POLICY",
    "MAX_ATTACH_SESSION_POLICY",
    "MAX_CUSTOM_POLICY",
    "ConditionTest",
    "MalformedPolicyDocument",
    "PolicyDocument",
    "PolicyKind",
    "Principal",
    "Statement",
    "dump",
    "parse_policy",
    "same_meaning",
]

# https://www.alibabacloud.com/help/en/ram/product-overview/limits
MAX_CUSTOM_POLICY = 6144
# Parameter Policy of https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole
MAX_ATTACH_SESSION_POLICY = 1024
# Parameter Policy of https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole
MAX_ASSUME_SESSION_POLICY = 2048

# Live text: https://github.com/aliyun/Resource-Orchestration-Service-Cloud-Development-Kit/issues/58
NO_VERSION_TEXT = "The policy document is invalid. apsara::AnyCast: can't cast from v to Ss"


def parse_policy(text_or_obj: str | Mapping[str, Any], kind: PolicyKind = "identity") -> PolicyDocument:
    """Read and validate a policy document.

    Args:
        text_or_obj: JSON text, or the object read from it.
        kind: ``identity`` (system, custom and control policies), ``session``, ``trust`` (of a role) or
            ``bucket``.

    Returns:
        The document; ``source_text`` is the text as given, or JSON made of the object.

    Raises:
        MalformedPolicyDocument: with the vendor's text where it is known.
        ValueError: ``kind`` is none of the four.
    """
    if kind not in get_args(PolicyKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(PolicyKind))}, not {kind!r}")
    text, tree = read_json(text_or_obj)
    if not isinstance(tree, Mapping):
        fail(f"A policy document is a JSON object, not {named(tree)}.")
    if "Version" not in tree:
        fail(NO_VERSION_TEXT, "Version")
    if tree["Version"] != "1":
        fail(f'Version must be the string "1", not {shown(tree["Version"])}.', "Version")
    for name in tree:
        if name not in ("Version", "Statement"):
            fail(unknown(name, ("Version", "Statement")), str(name))
    statements = tree.get("Statement")
    if not isinstance(statements, list | tuple):
        fail(
            f'Statement must be a list of statements: "Statement": [ … ], not {named(statements)}.',
            "Statement",
        )
    if not statements:
        fail("Statement must hold at least one statement.", "Statement")
    return PolicyDocument("1", tuple(read_statement(s, i, kind) for i, s in enumerate(statements)), text)


def same_meaning(a: str | Mapping[str, Any], b: str | Mapping[str, Any]) -> bool:
    """Tell whether two documents say the same.

    Layout, the order of keys, statements and lists, a single value against a list of one, repeated values,
    and the letter case of action and condition key names make no difference. No logic is applied: ``oss:*``
    beside ``oss:Get*`` differs from ``oss:*`` alone.

    Args:
        a: a document as text or object.
        b: the other.

    Returns:
        True or False.

    Raises:
        MalformedPolicyDocument: one of them is not a policy.
    """
    return _meaning(a) == _meaning(b)


def _meaning(source: str | Mapping[str, Any]) -> frozenset[object]:
    _, tree = read_json(source)
    return frozenset(
        (
            s.effect,
            frozenset(a.lower() for a in s.actions),
            frozenset(a.lower() for a in s.not_actions),
            frozenset(s.resources),
            s.principal
            and tuple(
                map(frozenset, (s.principal.ram, s.principal.service, s.principal.federated, s.principal.uid))
            ),
            frozenset((c.operator, c.key.lower(), frozenset(c.values)) for c in s.condition),
        )
        for s in parse_policy(source, _kind_of(tree)).statements
    )


def _kind_of(tree: Any) -> PolicyKind:
    """Guess the kind from the elements used; a wrong guess only changes which error is raised."""
    statements = tree.get("Statement") if isinstance(tree, Mapping) else None
    first = statements[0] if isinstance(statements, list | tuple) and statements else None
    if not isinstance(first, Mapping) or "Principal" not in first:
        return "identity"
    return "bucket" if "Resource" in first else "trust"


def read_json(source: str | Mapping[str, Any]) -> tuple[str, Any]:
    """Return (text, object) of a document given as either. Raises MalformedPolicyDocument for what RFC 7159 lacks."""
    if not isinstance(source, str):
        try:
            return dump(source), source
        except (TypeError, ValueError, RecursionError) as error:
            raise MalformedPolicyDocument(
                f"The policy document cannot be written as JSON: {error}."
            ) from None
    try:
        return source, json.loads(source, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedPolicyDocument(
            f"The policy document is not valid JSON: {error.msg} ({where})."
        ) from None
    except RecursionError:
        raise MalformedPolicyDocument("The policy document is nested too deeply.") from None
    except MalformedPolicyDocument:
        raise
    except ValueError as error:
        raise MalformedPolicyDocument(f"The policy document is not valid JSON: {error}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        fail(f'The key "{twice}" appears twice in one JSON object; one of the two would be lost.')
    return result


def _no_constant(name: str) -> NoReturn:
    fail(f"{name} is not valid JSON.")
