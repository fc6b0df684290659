"""Wildcards against a plain reference, metacharacters, and bounded time."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import action_matches, matches, resource_match_state, resource_matches

METACHARACTERS = r".^$+{}[]()|\-#&~!,'"


def reference(pattern: str, value: str) -> bool:
    """The definition, read aloud: slow, but evidently right."""

    @cache
    def rest(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(value)
        if pattern[i] == "*":
            return rest(i + 1, j) or (j < len(value) and rest(i, j + 1))
        return j < len(value) and pattern[i] in ("?", value[j]) and rest(i + 1, j + 1)

    return rest(0, 0)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_the_matcher_equals_the_definition(pattern: str, value: str) -> None:
    assert matches(pattern, value) is reference(pattern, value)


@given(st.text("aB:/*?.é\n", max_size=10), st.text("Ab:/*?.é\n", max_size=10), st.booleans())
def test_it_does_with_any_characters(pattern: str, value: str, ignore_case: bool) -> None:
    want = reference(pattern.lower(), value.lower()) if ignore_case else reference(pattern, value)
    assert matches(pattern, value, ignore_case=ignore_case) is want


@given(st.text(max_size=30))
def test_a_text_without_wildcards_matches_itself_alone(value: str) -> None:
    literal = value.replace("*", "").replace("?", "")
    assert matches(literal, literal)
    assert not matches(literal, literal + "x")
    assert matches(literal + "*", literal + value)
    assert matches("?" * len(value), value)
    assert not matches("?" * (len(value) + 1), value)


@pytest.mark.parametrize("sign", METACHARACTERS)
def test_metacharacters_stand_for_themselves(sign: str) -> None:
    assert matches(f"a{sign}b", f"a{sign}b")
    assert not matches(f"a{sign}b", "axb")
    assert not matches(f"a{sign}b", "ab")
    assert matches(f"*{sign}?", f"xx{sign}y")
    assert not matches(f"*{sign}?", "xxay")


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("*a" * 5000 + "b", "a" * 10000),
        ("*a?" * 3000 + "b", "a" * 9000),
        ("*" + "a?" * 3000 + "c*", "a" * 9000 + "b"),
        ("*" + "a" * 5000 + "?" + "b*", "a" * 10000),
        ("*" * 10000 + "x", "a" * 10000),
        ("?" * 10000 + "*x", "a" * 10000),
        ("*?" * 5000 + "x", "a" * 10000),
    ],
)
def test_hostile_patterns_are_fast(pattern: str, value: str) -> None:
    start = time.process_time()
    assert not matches(pattern, value)
    assert time.process_time() - start < 5  # seconds of CPU: an exponential matcher would take hours


def test_ten_thousand_patterns_are_fast() -> None:
    value = "acs:oss:oss-cn-beijing:123:b/" + "a" * 200
    start = time.process_time()
    assert not any(matches(f"*a*a*a*a*a*{i}", value) for i in range(10_000))
    assert time.process_time() - start < 2


@given(st.text("abAB*?:", max_size=8), st.text("abAB:", max_size=8))
def test_actions_ignore_case(pattern: str, action: str) -> None:
    assert action_matches(pattern, action) is action_matches(pattern.upper(), action.lower())


SEGMENT = st.text("ab*?", max_size=3)
ARN = st.builds(
    ":".join, st.tuples(st.just("acs"), st.sampled_from(["oss", "ram"]), SEGMENT, SEGMENT, SEGMENT)
)


@given(ARN | st.just("*"))
def test_a_resource_covers_itself(arn: str) -> None:
    """Only an account left empty where accounts exist, or a request that gives none, leaves doubt."""
    assert resource_match_state(arn, arn) in (True, None)


@given(ARN, ARN)
def test_a_certain_match_is_a_match_of_each_segment(pattern: str, resource: str) -> None:
    if resource_matches(pattern, resource):
        for want, have in zip(pattern.split(":"), resource.split(":"), strict=True):
            assert want == "" or matches(want, have)


@given(ARN, ARN)
def test_a_wider_pattern_never_matches_less(pattern: str, resource: str) -> None:
    service, relative = pattern.split(":")[1], pattern.split(":")[4]
    if resource_matches(pattern, resource):
        assert resource_matches(f"acs:{service}:*:*:{relative}", resource)
        assert resource_matches("acs:*:*:*:*", resource)
