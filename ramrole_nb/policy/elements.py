"""Validation of a statement's elements, mirroring https://help.aliyun.com/en/ram/permission-policy-check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from ramrole_nb.policy.operators import OPERATORS
from ramrole_nb.policy.values import (
    PRINCIPAL_KINDS,
    ConditionTest,
    MalformedPolicyDocument,
    Principal,
    Statement,
)

PolicyKind = Literal["identity", "trust", "bucket", "session"]

# Live text: https://github.com/aliyun/terraform-provider-alicloud/pull/9949
NO_ACTION_TEXT = "Add an Action or NotAction element to the policy statement."

_ACTION = re.compile(r"[A-Za-z0-9_*?-]+:[^\s:]\S*")
_CONDITION_KEY = re.compile(r"[A-Za-z0-9_-]+:\S.*", re.DOTALL)
_ELEMENTS = ("Effect", "Action", "NotAction", "Resource", "Principal", "Condition")


def read_statement(tree: Any, index: int, kind: PolicyKind) -> Statement:
    """Read and validate one statement.

    Args:
        tree: the JSON value.
        index: its place in the document.
        kind: what the document is for; decides on Principal and Resource.

    Returns:
        The statement, single values as tuples of one.

    Raises:
        MalformedPolicyDocument: with the place of the first mistake.
    """
    path = f"Statement[{index}]"
    if not isinstance(tree, Mapping):
        fail(f"A statement is a JSON object, not {named(tree)}.", path)
    for name in tree:
        if name == "NotResource":
            fail("RAM has no NotResource element; name the resources in Resource.", f"{path}.NotResource")
        if name not in _ELEMENTS:
            fail(unknown(name, _ELEMENTS), f"{path}.{name}")
    if tree.get("Effect") not in ("Allow", "Deny"):
        given = f", not {shown(tree['Effect'])}" if "Effect" in tree else ""
        fail(f'Effect must be "Allow" or "Deny"{given}.', f"{path}.Effect")
    if "Action" not in tree and "NotAction" not in tree:
        fail(NO_ACTION_TEXT, path)
    if "Action" in tree and "NotAction" in tree:
        fail("A statement holds either Action or NotAction, not both.", path)
    return Statement(
        effect=tree["Effect"],
        actions=_actions(tree["Action"], f"{path}.Action") if "Action" in tree else (),
        not_actions=_actions(tree["NotAction"], f"{path}.NotAction") if "NotAction" in tree else (),
        resources=_resources(tree, path, kind),
        principal=_principal(tree, path, kind),
        condition=_condition(tree["Condition"], f"{path}.Condition") if "Condition" in tree else (),
        index=index,
    )


def mistakes(tree: Any, index: int, kind: PolicyKind) -> list[MalformedPolicyDocument]:
    """Return every mistake of one statement that `read_statement` would raise for, one after the other.

    Each element is read alone, so that a mistake in one hides none in another.
    """
    path = f"Statement[{index}]"
    probe: dict[str, Any] = {"Effect": "Allow", "Action": "*"}
    if kind != "trust":
        probe["Resource"] = "*"
    if kind in ("trust", "bucket"):
        probe["Principal"] = {"Service": "ecs.aliyuncs.com"} if kind == "trust" else "*"
    if not isinstance(tree, Mapping):
        return _tried(tree, index, kind)
    found: list[MalformedPolicyDocument] = []
    for name in tree:
        if name == "Condition" and isinstance(tree[name], Mapping):
            for operator, keys in tree[name].items():
                each = keys.items() if isinstance(keys, Mapping) and operator in OPERATORS else [("", keys)]
                for key, value in each:
                    test = {key: value} if isinstance(keys, Mapping) and operator in OPERATORS else keys
                    found += _tried({**probe, name: {operator: test}}, index, kind)
        elif name in ("Action", "NotAction"):
            rest = {element: value for element, value in probe.items() if element != "Action"}
            items = tree[name] if isinstance(tree[name], list | tuple) and tree[name] else [tree[name]]
            for item in items:
                found += _tried({**rest, name: item}, index, kind)
        elif name == "Resource" and isinstance(tree[name], list | tuple) and tree[name] and kind != "trust":
            for item in tree[name]:
                found += _tried({**probe, name: item}, index, kind)
        else:
            found += _tried({**probe, name: tree[name]}, index, kind)
    if "Effect" not in tree:
        found.append(MalformedPolicyDocument('Effect must be "Allow" or "Deny".', f"{path}.Effect"))
    if "Action" not in tree and "NotAction" not in tree:
        found.append(MalformedPolicyDocument(NO_ACTION_TEXT, path))
    if "Action" in tree and "NotAction" in tree:
        both = "A statement holds either Action or NotAction, not both."
        found.append(MalformedPolicyDocument(both, path))
    for name in ("Principal", "Resource"):
        if name in probe and name not in tree:
            found += _tried(
                {element: value for element, value in probe.items() if element != name}, index, kind
            )
    return list({(error.message, error.path): error for error in found}.values())


def _tried(tree: Any, index: int, kind: PolicyKind) -> list[MalformedPolicyDocument]:
    try:
        read_statement(tree, index, kind)
    except MalformedPolicyDocument as error:
        return [error]
    return []


def _actions(value: Any, path: str) -> tuple[str, ...]:
    names = _strings(value, path)
    for name in names:
        if name != "*" and not _ACTION.fullmatch(name):
            fail(
                f"Invalid action format: {name!r}. Write <ram-code>:<action-name>, such as oss:GetObject.",
                path,
            )
    return names


def _resources(tree: Mapping[str, Any], path: str, kind: PolicyKind) -> tuple[str, ...]:
    path = f"{path}.Resource"
    if kind == "trust":
        if "Resource" in tree:
            fail("A trust policy has no Resource: the resource is the role that carries it.", path)
        return ()
    if "Resource" not in tree:
        fail('Add a Resource element, such as "acs:oss:*:*:my-bucket/*" or "*".', path)
    names = _strings(tree["Resource"], path)
    for name in names:
        if name != "*" and not name.startswith("acs:"):
            hint = ' ("arn:aws:" is another cloud\'s)' if name.startswith("arn:") else ""
            fail(
                f"Invalid Alibaba Cloud Resource Name (ARN) prefix: {name!r} must start with acs:{hint}.",
                path,
            )
    return names


def _principal(tree: Mapping[str, Any], path: str, kind: PolicyKind) -> Principal | None:
    path = f"{path}.Principal"
    if kind in ("identity", "session"):
        if "Principal" in tree:
            whose = (
                "the identity that it is attached to" if kind == "identity" else "the session that carries it"
            )
            fail(
                f"Principal belongs in resource-based policies only; this policy speaks about {whose}.", path
            )
        return None
    if "Principal" not in tree:
        fail("Add a Principal element: whom this statement speaks about.", path)
    value = tree["Principal"]
    if kind == "bucket":
        if isinstance(value, Mapping):
            fail('The Principal of a bucket policy is a list of UIDs or "*".', path)
        return Principal(uid=("*",) if value in ([], ()) else _strings(value, path))
    if not isinstance(value, Mapping) or not value:
        fail('Name the trusted entity, such as {"Service": ["ecs.aliyuncs.com"]}.', path)
    for name in value:
        if name not in PRINCIPAL_KINDS:
            fail(unknown(name, PRINCIPAL_KINDS), f"{path}.{name}")
    ram, service, federated = (
        _strings(value[name], f"{path}.{name}") if name in value else () for name in PRINCIPAL_KINDS
    )
    for arn in ram + federated:
        if arn != "*" and not arn.startswith("acs:ram:"):
            fail(
                f"{arn!r} is no RAM principal; write acs:ram::<account-id>:root, "
                "acs:ram::<account-id>:user/<name> or acs:ram::<account-id>:role/<name>.",
                path,
            )
    return Principal(ram=ram, service=service, federated=federated)


def _condition(tree: Any, path: str) -> tuple[ConditionTest, ...]:
    if not isinstance(tree, Mapping):
        fail(f"Condition is a JSON object of operators, not {named(tree)}.", path)
    tests = []
    for operator, keys in tree.items():
        where = f"{path}.{operator}"
        if operator not in OPERATORS:
            fail(f"Invalid condition operator: {operator!r}. RAM has {', '.join(OPERATORS)}.", where)
        if not isinstance(keys, Mapping):
            fail(f"A condition operator holds a JSON object of keys, not {named(keys)}.", where)
        for key, value in keys.items():
            if not isinstance(key, str) or not _CONDITION_KEY.fullmatch(key):
                fail(f"Invalid condition key format: {key!r}. Write <ram-code>:<condition-key>.", where)
            tests.append(ConditionTest(operator, key, _condition_values(operator, value, f"{where}.{key}")))
    return tuple(tests)


def _condition_values(operator: str, value: Any, path: str) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    if not items:
        fail("A condition key needs at least one value.", path)
    for item in items:
        # The vendor wants every scalar in quotes; true and 1 without them have one plain reading.
        if not isinstance(item, str | bool | int):
            fail(
                f"Data type mismatch: a condition value is a text in double quotes, not {named(item)}.", path
            )
    values = tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)
    if operator == "Bool":
        if len(values) > 1:
            fail("Multiple Boolean values for a condition.", path)
        if values[0].lower() not in ("true", "false") and "${" not in values[0]:
            fail(f'A Boolean condition value is "true" or "false", not {shown(values[0])}.', path)
    return values


def _strings(value: Any, path: str) -> tuple[str, ...]:
    """Read one string or a list of them; the vendor treats both alike."""
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        bad = (
            next((i for i in items if not isinstance(i, str)), None)
            if isinstance(items, list | tuple)
            else items
        )
        fail(f"Data type mismatch: a text or a list of texts is needed, not {named(bad)}.", path)
    if not items or "" in items:
        fail("At least one value is needed, and none may be empty.", path)
    return tuple(items)


def unknown(name: object, known: tuple[str, ...]) -> str:
    """Say that an element does not exist, and what was probably meant."""
    close = next((k for k in known if k.lower() == str(name).lower()), None)
    hint = f'write "{close}"' if close else f"known here: {', '.join(known)}"
    return f"Invalid policy element: {name!r} ({hint})."


def shown(value: object) -> str:
    """Show a value as it stands in JSON, cut to a readable length, with a hint at the usual mistake."""
    hint = " (that is another cloud's)" if value == "2012-10-17" else ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return (text if len(text) <= 60 else text[:57] + "…") + hint


def named(value: object) -> str:
    """Name the JSON type of a value, with its article."""
    if value is None:
        return "nothing"
    names = ((bool, "a Boolean"), (int | float, "a number"), (str, "a text"), (list | tuple, "a list"))
    return next((name for kind, name in names if isinstance(value, kind)), "an object")


def fail(message: str, path: str = "") -> NoReturn:
    """Raise MalformedPolicyDocument."""
    raise MalformedPolicyDocument(message, path)
