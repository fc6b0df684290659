"""Condition blocks in three values: True, False, or None for "cannot be told".

Documented (https://www.alibabacloud.com/help/en/ram/policy-elements): values of a key are alternatives; keys
and operators must all hold. The vendor states no rule for a key that the request does not carry. Ours:

- a key that every signed request carries (`ALWAYS_SENT`) but the caller of `evaluate` did not give: unknown;
- another modelled key (`MODELLED`) that is absent: a positive operator does not hold (there is nothing that
  could be equal), a negated one (StringNotEquals, NotIpAddress, …) is unknown;
- a key that is not modelled: unknown, unless the caller gives its value, which settles what the request
  carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ramrole_nb.policy.documents import ConditionTest
from ramrole_nb.policy.operators import OPERATORS, Compare, prepare
from ramrole_nb.policy.sentences import listed

#: Key -> observed value or values. None: the request carries the key, its value is not known.
Context = Mapping[str, str | Sequence[str] | None]

#: A prepared test: told a context whose keys are in lower case, it says whether the test holds (None: not modelled).
Holds = Callable[[Context], bool | None]

#: https://www.alibabacloud.com/help/en/ram/policy-elements (global keys), in lower case.
ALWAYS_SENT = frozenset({"acs:currenttime", "acs:securetransport", "acs:sourceip", "acs:principalarn"})

#: The keys whose absence is modelled; an entry ending in ``/`` covers every tag key after it. OSS keys:
#: https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements
MODELLED = ALWAYS_SENT | {
    "acs:sourcevpc",
    "acs:mfapresent",
    "acs:service",
    "acs:useragent",
    "acs:accessid",
    "acs:requesttag/",
    "acs:resourcetag/",
    "ecs:tag/",
    "oss:prefix",
    "oss:delimiter",
    "oss:buckettag/",
    "oss:existingobjecttag/",
    "oss:requestobjecttag/",
}


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """What one test, or a whole block, came to.

    ``matched`` is None when it cannot be told; ``observed`` is what the request carried (None: absent);
    ``why`` is a short sentence without a full stop, empty when the test holds.
    """

    matched: bool | None
    why: str = ""
    observed: tuple[str, ...] | None = None


def is_modelled(key: str) -> bool:
    """Tell whether the absence of a condition key has a meaning here; letter case of the key is ignored."""
    name, slash, _ = key.lower().partition("/")
    return name + slash in MODELLED


def evaluate_condition(tests: Sequence[ConditionTest], context: Context) -> ConditionResult:
    """Evaluate a statement's condition block: all tests must hold.

    Args:
        tests: the parsed block; empty holds.
        context: what the request carries.

    Returns:
        The first test that fails, else the first that cannot be told, else ``matched=True``.
    """
    if not tests:
        return _HOLDS
    context = folded(context)
    unknown: ConditionResult | None = None
    for test in tests:
        result = evaluate_test(test, context)
        if result.matched is False:
            return result
        if result.matched is None and unknown is None:
            unknown = result
    return unknown or _HOLDS


def folded(context: Context) -> Context:
    """Return a context with its keys in lower case: condition keys compare without letter case."""
    return {key.lower(): value for key, value in context.items()}


def prepare_test(test: ConditionTest) -> Holds:
    """Turn a test into a function of the context (keys in lower case) that answers as `evaluate_test` does.

    It makes no sentences, and is quick for the usual case: one observed value, and no policy variable.
    """
    _, negated = OPERATORS[test.operator]
    name, values = test.key.lower(), test.values
    if any("${" in value for value in values):
        return lambda context: evaluate_test(test, context).matched
    compares = tuple(prepare(test.operator, value) for value in values)

    def holds(context: Context) -> bool | None:
        given = context.get(name)
        if not isinstance(given, str):
            return evaluate_test(test, context).matched
        found: bool | None = negated
        for compare in compares:
            verdict = compare(given)
            if verdict:
                return not negated
            if verdict is None:
                found = None
        return found

    return holds


def evaluate_test(test: ConditionTest, context: Context) -> ConditionResult:
    """Evaluate one operator on one key.

    Args:
        test: operator, key and expected values.
        context: what the request carries, its keys in lower case.

    Returns:
        The result with the observed values. Several observed values that disagree are None: no rule is
        documented.
    """
    compare, negated = OPERATORS[test.operator]
    name = test.key.lower()
    if name not in context:
        return _absent(test, name, negated)
    given = context[name]
    if given is None:
        return ConditionResult(None, f"the value of {test.key} is not known")
    observed = (given,) if isinstance(given, str) else tuple(given)
    if not observed:
        return _absent(test, name, negated)
    verdicts = {_against(compare, negated, value, test.values) for value in observed}
    if verdicts == {True}:
        return ConditionResult(True, "", observed)
    expected = f"{test.operator} {_quoted(test.values)}"
    if verdicts == {False}:
        return ConditionResult(False, f"{test.key} is {_quoted(observed)}, not {expected}", observed)
    return ConditionResult(
        None,
        f"{test.key} is {_quoted(observed)}; whether that satisfies {expected} is not modelled",
        observed,
    )


def _against(compare: Compare, negated: bool, observed: str, values: tuple[str, ...]) -> bool | None:
    """Hold one observed value against the alternatives; a policy variable makes its alternative unknown."""
    found: bool | None = False
    for value in values:
        verdict = None if "${" in value else compare(observed, value)
        if verdict:
            return not negated
        if verdict is None:
            found = None
    return None if found is None else negated


def _absent(test: ConditionTest, name: str, negated: bool) -> ConditionResult:
    if not is_modelled(name):
        return ConditionResult(None, f"the condition key {test.key} is not modelled")
    if name in ALWAYS_SENT:
        return ConditionResult(None, f"the value of {test.key} is not known")
    if negated:
        return ConditionResult(
            None, f"the request carries no {test.key}, and how {test.operator} reads that is not known"
        )
    return ConditionResult(False, f"the request carries no {test.key}, so {test.operator} cannot hold")


def _quoted(values: Iterable[str]) -> str:
    return listed(tuple(map(repr, values)))


_HOLDS = ConditionResult(True)
