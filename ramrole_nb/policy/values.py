"""The parsed form of a policy document: frozen, comparable values, and the error for text that has none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

PRINCIPAL_KINDS = ("RAM", "Service", "Federated")


class MalformedPolicyDocument(ValueError):
    """The document breaks the RAM policy grammar.

    Attributes:
        message: what is wrong: the vendor's own text where it is known, else a sentence of ours.
        path: where, such as ``Statement[0].Effect``; empty for the document as a whole.
    """

    def __init__(self, message: str, path: str = "") -> None:
        """Keep ``message`` and ``path``; ``str()`` shows both."""
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a resource-based statement names.

    ``ram``, ``service`` and ``federated`` belong to trust policies
    (https://www.alibabacloud.com/help/en/ram/policy-elements); ``uid`` (UIDs, ``*``, ARNs) to bucket
    policies, where an empty list reads as ``("*",)``
    (https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements).
    """

    ram: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    federated: tuple[str, ...] = ()
    uid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionTest:
    """One operator on one key; ``values`` are alternatives, all tests of a statement must hold."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Exactly one of ``actions`` and ``not_actions`` holds something; ``principal`` is None in identity
    and session policies, and ``resources`` is empty in trust policies.
    """

    effect: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    principal: Principal | None
    condition: tuple[ConditionTest, ...]
    index: int


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A valid document; two are equal when their statements are, however the text was laid out."""

    version: str
    statements: tuple[Statement, ...]
    source_text: str = field(compare=False, default="")
    # What `ramrole_nb.policy.index` makes of the statements once; no part of the value.
    _index: object = field(init=False, compare=False, repr=False, default=None)

    def to_json(self, indent: int | None = None) -> str:
        """Write the document as JSON, every list as a list; reading it back gives an equal document.

        Args:
            indent: as for `json.dumps`; None writes it compactly.

        Returns:
            The JSON text.
        """
        return dump({"Version": self.version, "Statement": [_plain(s) for s in self.statements]}, indent)


def dump(value: object, indent: int | None = None) -> str:
    """Write JSON as short as a size limit wants it, or indented for a reader; non-ASCII stays readable."""
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))


def _plain(statement: Statement) -> dict[str, object]:
    result: dict[str, object] = {"Effect": statement.effect}
    if statement.principal is not None:
        named = zip(PRINCIPAL_KINDS, _kinds(statement.principal), strict=True)
        by_kind = {name: list(values) for name, values in named if values}
        result["Principal"] = by_kind or list(statement.principal.uid)
    if statement.not_actions:
        result["NotAction"] = list(statement.not_actions)
    else:
        result["Action"] = list(statement.actions)
    if statement.resources:
        result["Resource"] = list(statement.resources)
    if statement.condition:
        tests: dict[str, dict[str, list[str]]] = {}
        for test in statement.condition:
            tests.setdefault(test.operator, {})[test.key] = list(test.values)
        result["Condition"] = tests
    return result


def _kinds(principal: Principal) -> tuple[tuple[str, ...], ...]:
    return principal.ram, principal.service, principal.federated
