"""Whether one statement says all that another says: for what is shadowed or said twice. Never more than is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ramrole_nb.policy.matching import matches
from ramrole_nb.policy.values import Statement

__all__ = ["pattern_covers", "resource_covers", "statement_covers"]


def pattern_covers(wide: str, narrow: str) -> bool:
    """Tell whether every text that fits `narrow` certainly fits `wide`.

    Read as plain text, a ``*`` of `narrow` fits only a ``*`` of `wide`, which is right; but it would fit a ``?`` too.
    """
    if wide == narrow:
        return True
    if "?" in wide and "*" in narrow:
        return False
    return matches(wide, narrow)


def resource_covers(wide: str, narrow: str) -> bool:
    """Tell whether every resource that fits the Resource value `narrow` certainly fits `wide`."""
    if wide in ("*", narrow):
        return True
    if "${" in wide or "${" in narrow:
        return False
    left, right = wide.split(":", 4), narrow.split(":", 4)
    if len(left) < 5 or len(right) < 5:
        return False
    return all(pattern_covers(a, b) for a, b in zip(left, right, strict=True))


def statement_covers(wide: Statement, narrow: Statement) -> bool:
    """Tell whether each request that `narrow` matches is certainly matched by `wide` too; effects are not compared."""
    if wide.principal != narrow.principal:
        return False
    if wide.condition and not set(wide.condition) <= set(narrow.condition):
        return False
    if not _each(wide.resources, narrow.resources, resource_covers):
        return False
    if wide.not_actions:
        return bool(narrow.not_actions) and _each(
            _lower(narrow.not_actions), _lower(wide.not_actions), pattern_covers
        )
    if narrow.not_actions:
        return "*" in wide.actions
    return _each(_lower(wide.actions), _lower(narrow.actions), pattern_covers)


def _lower(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value.lower() for value in values)


def _each(wide: tuple[str, ...], narrow: tuple[str, ...], covers: Callable[[str, str], bool]) -> bool:
    return all(any(covers(w, n) for w in wide) for n in narrow)
