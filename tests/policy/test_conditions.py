"""Operators beyond the cases: negations, unreadable values, and any input at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import ConditionResult, ConditionTest, evaluate_condition
from ramrole_nb.policy.conditions import ALWAYS_SENT, is_modelled
from ramrole_nb.policy.operators import OPERATORS

#: https://www.alibabacloud.com/help/en/ram/conditional-operator
DOCUMENTED = {
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "IpAddress",
    "NotIpAddress",
}
PAIRS = [
    ("StringEquals", "StringNotEquals"),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ("StringLike", "StringNotLike"),
    ("NumericEquals", "NumericNotEquals"),
    ("DateEquals", "DateNotEquals"),
    ("IpAddress", "NotIpAddress"),
]
VALUES = st.sampled_from(
    [
        "", "a", "A", "a*", "?", "1", "1.0", "01", "-1", "1e5", "1_0", "NaN", "٣", "9" * 5000, "true",
        "False",
        "10.0.0.1", "10.0.0.0/8", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1/33", "${acs:x}",
        "2019-08-12T17:00:00+08:00", "2019-08-12T09:00:00Z", "2019-08-12", "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ]
)  # fmt: skip


def result(
    operator: str, expected: tuple[str, ...], observed: Any, key: str = "oss:Prefix"
) -> ConditionResult:
    return evaluate_condition([ConditionTest(operator, key, expected)], {key: observed})


def test_the_operators_are_the_documented_ones() -> None:
    assert set(OPERATORS) == DOCUMENTED


@pytest.mark.parametrize(("positive", "negative"), PAIRS)
@given(expected=st.lists(VALUES, min_size=1, max_size=3), observed=VALUES)
def test_a_negation_is_the_opposite(positive: str, negative: str, expected: list[str], observed: str) -> None:
    yes = result(positive, tuple(expected), observed).matched
    no = result(negative, tuple(expected), observed).matched
    assert no is (None if yes is None else not yes)


@given(
    st.sampled_from(sorted(DOCUMENTED)),
    st.lists(VALUES, min_size=1, max_size=3),
    st.lists(VALUES, max_size=3),
)
def test_no_value_breaks_an_operator(operator: str, expected: list[str], observed: list[str]) -> None:
    outcome = result(operator, tuple(expected), observed)
    assert outcome.matched in (True, False, None)
    assert outcome.observed == (tuple(observed) or None) or outcome.matched is True
    assert bool(outcome.why) is (outcome.matched is not True)
    assert len(outcome.why) < 40_000


@given(st.sampled_from(sorted(DOCUMENTED)), st.lists(VALUES, min_size=1, max_size=3), VALUES)
def test_values_are_alternatives(operator: str, expected: list[str], observed: str) -> None:
    """For a positive operator any value suffices, for a negated one all must differ."""
    each = [result(operator, (value,), observed).matched for value in expected]
    decisive = not OPERATORS[operator][1]
    want = decisive if decisive in each else None if None in each else not decisive
    assert result(operator, tuple(expected), observed).matched is want


@given(st.sampled_from(["Numeric", "Date"]), VALUES, VALUES)
def test_order_is_an_order(family: str, a: str, b: str) -> None:
    less, equal, greater = (
        result(family + name, (b,), a).matched for name in ("LessThan", "Equals", "GreaterThan")
    )
    assert [less, equal, greater].count(True) == (0 if less is None else 1)
    assert result(f"{family}LessThanEquals", (b,), a).matched is (None if less is None else less or equal)
    assert result(f"{family}GreaterThanEquals", (b,), a).matched is (
        None if less is None else greater or equal
    )


@pytest.mark.parametrize("value", ["many", "1_0", "NaN", "Infinity", "", "٣", " 1", "0x1", "1e5"])
def test_what_is_no_number(value: str) -> None:
    assert result("NumericEquals", ("1",), value).matched is None
    assert result("NumericEquals", (value,), "1").matched is None


@pytest.mark.parametrize(
    "key", ["acs:SourceVpc", "ACS:sourcevpc", "oss:BucketTag/any key", "ecs:tag/k", "acs:CurrentTime"]
)
def test_modelled_keys(key: str) -> None:
    assert is_modelled(key)


@pytest.mark.parametrize("key", ["acs:PrincipalRDId", "oss:Prefix2", "oss:x/y", "acs:RequestTag", "fc:x"])
def test_other_keys(key: str) -> None:
    assert not is_modelled(key)
    assert result("StringEquals", ("a",), "a", key).matched is True
    assert evaluate_condition([ConditionTest("StringEquals", key, ("a",))], {}).matched is None


def test_what_every_request_carries_is_never_absent() -> None:
    for key in ALWAYS_SENT:
        absent = evaluate_condition([ConditionTest("StringEquals", key, ("a",))], {})
        assert absent == ConditionResult(None, f"the value of {key} is not known")


def test_an_empty_list_is_an_absent_key() -> None:
    assert result("StringEquals", ("a",), []) == evaluate_condition(
        [ConditionTest("StringEquals", "oss:Prefix", ("a",))], {}
    )


def test_a_result_shows_what_was_observed() -> None:
    assert result("StringLike", ("a/*", "b/*"), "c") == ConditionResult(
        False, "oss:Prefix is 'c', not StringLike 'a/*', 'b/*'", ("c",)
    )
