"""Wildcard, action and resource matching of the RAM policy language.

Rules: https://www.alibabacloud.com/help/en/ram/policy-elements (actions, ARNs) and
https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax (wildcards).
Where the vendor documents nothing, the answer is ``None`` (unknown), never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

# Services without regions write "acs:ram::<account>:role/x" or "acs:ram:*:<account>:role/x".
GLOBAL_SERVICES = frozenset({"ram", "sts", "ims", "resourcemanager"})

_Finder = Callable[[str, int], int]


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Tell whether the whole of ``value`` fits ``pattern``.

    ``*`` stands for zero or more characters (also ``/`` and ``:``), ``?`` for exactly one, every other
    character for itself.

    Args:
        pattern: text with wildcards.
        value: text to test.
        ignore_case: compare lower-cased texts.

    Returns:
        True or False. Time is bounded for any pattern: nothing is ever retried from an earlier ``*``.
    """
    if ignore_case:
        return _compile(pattern.lower())(value.lower())
    return _compile(pattern)(value)


def action_matches(pattern: str, action: str) -> bool:
    """Tell whether an Action or NotAction value covers ``action``, ignoring letter case.

    The vendor: values in Action and NotAction "are generally not case-sensitive"
    (https://www.alibabacloud.com/help/en/ram/policy-elements).

    Args:
        pattern: such as ``oss:Get*`` or ``*``.
        action: such as ``oss:GetObject``.

    Returns:
        True or False.
    """
    return _compile(pattern.lower())(action.lower())


def resource_matches(pattern: str, resource: str) -> bool:
    """Tell whether a Resource value certainly covers ``resource``.

    Args:
        pattern: ``*`` or ``acs:<service>:<region>:<account>:<relative-id>`` with wildcards.
        resource: the request's resource, the same shape.

    Returns:
        True when it certainly does; False when it does not or when `resource_match_state` cannot tell.
    """
    return resource_match_state(pattern, resource) is True


def resource_match_state(pattern: str, resource: str) -> bool | None:
    """Compare a Resource value with a request's resource, admitting ignorance.

    The ARN is compared segment by segment; only the last segment, the relative id, may hold ``:``.
    Documented: wildcards in any segment, a region left empty for services without regions
    (https://www.alibabacloud.com/help/en/ram/policy-elements). Role names compare without letter case, as the
    live service was seen to answer in lower case; object keys are case-sensitive.

    Args:
        pattern: ``*`` or an ARN with wildcards.
        resource: ``*`` (an operation without resource-level authorization) or an ARN. A region or account of
            ``*`` in it means "not given".

    Returns:
        True or False; None where no rule is documented: a policy variable ``${...}``, an ARN of fewer than
        five segments, or a region or account that the pattern names and the request does not give.
    """
    return resource_test(pattern)(Resource(resource))


class Resource:
    """A request's resource, taken apart once, to be held against many patterns."""

    __slots__ = ("account", "is_global", "lower", "parts", "region", "service", "text")

    def __init__(self, text: str) -> None:
        """Split ``text`` at its first four colons."""
        self.text = text
        self.parts = parts = text.split(":", 4)
        self.service = self.region = self.account = ""
        if len(parts) == 5:
            _, self.service, self.region, self.account, relative = parts
            self.is_global = self.service in GLOBAL_SERVICES
            is_role = self.service == "ram" and relative[:5].lower() == "role/"
            # Lower-cased where letter case makes no difference, else None.
            self.lower = relative.lower() if is_role else None


@lru_cache(maxsize=4096)
def resource_test(pattern: str) -> Callable[[Resource], bool | None]:
    """Turn a Resource value into a test of resources; what it answers is `resource_match_state`'s."""
    if pattern == "*":
        return lambda _: True
    if "${" in pattern:
        widest = resource_test(_without_variables(pattern))
        # "*" may be the widest reading of a variable, and still does not cover an operation that needs "*".
        return lambda resource: (
            False if resource.text == "*" else None if widest(resource) is not False else False
        )
    want = pattern.split(":", 4)
    if len(want) < 5:
        whole = _compile(pattern)
        return lambda resource: None if resource.text != "*" and whole(resource.text) else False
    whole, scheme, service, relative = map(_compile, (pattern, want[0], want[1], want[4]))
    folded = _compile(want[4].lower())
    region, account = want[2], want[3]

    def test(resource: Resource) -> bool | None:
        parts = resource.parts
        if len(parts) < 5:
            # "Operations without resource-level authorization need Resource *".
            return None if resource.text != "*" and whole(resource.text) else False
        lower = resource.lower
        if not (relative(parts[4]) if lower is None else folded(lower)):
            return False
        if not (service(parts[1]) and scheme(parts[0])):
            return False
        is_global = resource.is_global
        there = _place_matches(region, resource.region, empty_is_any=True, known=is_global)
        if there is False:
            return False
        owner = _place_matches(account, resource.account, empty_is_any=is_global, known=False)
        if owner is False:
            return False
        return None if there is None or owner is None else True

    return test


def _place_matches(want: str, have: str, *, empty_is_any: bool, known: bool) -> bool | None:
    """Compare one region or account segment; ``known`` says that an empty ``have`` is a real value."""
    if want == "*" or (want == "" and empty_is_any) or want == have:
        return True
    if want == "" or (have in ("", "*") and not known):
        return None
    return matches(want, have)


def _without_variables(pattern: str) -> str:
    """Replace each ``${...}`` by ``*``: the widest thing that it could stand for."""
    head, *rest = pattern.split("${")
    return head + "".join("*" + part.partition("}")[2] for part in rest)


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> Callable[[str], bool]:
    """Turn a pattern into a test of whole strings.

    Between two stars the leftmost fit is always good enough, so one pass over the value decides.
    """
    first, *others = pattern.split("*")
    if not others:
        return _whole(pattern)
    last = others.pop()
    starts, ends = _whole(first), _whole(last)
    head, tail = len(first), len(last)
    finders = tuple((_finder(chunk), len(chunk)) for chunk in others if chunk)

    def test(value: str) -> bool:
        end = len(value) - tail
        if end < head or not starts(value[:head]) or not ends(value[end:]):
            return False
        position, middle = head, value[:end]
        for find, length in finders:
            position = find(middle, position)
            if position < 0:
                return False
            position += length
        return True

    return test


def pattern_test(pattern: str) -> Callable[[str], bool]:
    """Return the test of `matches` for one pattern, for those who hold it against many values."""
    return _compile(pattern)


def _whole(chunk: str) -> Callable[[str], bool]:
    """A test of a whole string against a chunk without stars."""
    if "?" not in chunk:
        return chunk.__eq__
    length, fixed = len(chunk), tuple((i, c) for i, c in enumerate(chunk) if c != "?")
    return lambda value: len(value) == length and all(value[i] == c for i, c in fixed)


def _finder(chunk: str) -> _Finder:
    """A leftmost search, like `str.find`, for a chunk without stars."""
    if "?" not in chunk:
        return lambda value, start: value.find(chunk, start)
    # Shift-and: bit i of `state` says that chunk[:i + 1] ends here; big integers keep long chunks cheap.
    anything = sum(1 << i for i, c in enumerate(chunk) if c == "?")
    masks: dict[str, int] = {}
    for i, c in enumerate(chunk):
        if c != "?":
            masks[c] = masks.get(c, anything) | 1 << i
    length = len(chunk)
    goal = 1 << (length - 1)

    def find(value: str, start: int) -> int:
        state = 0
        for i in range(start, len(value)):
            state = (state << 1 | 1) & masks.get(value[i], anything)
            if state & goal:
                return i - length + 1
        return -1

    return find
