"""Where each value of a JSON text stands: a reader that keeps positions, for marking and for line numbers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from json import decoder

__all__ = ["Span", "locate"]

# Deeper than any policy; a document nested deeper is refused by `parse_policy` anyway.
_DEEPEST = 64

# The library's own reader of a JSON text literal: (text, offset after the quote, strict) -> (value, offset of the end).
_scanstring: Callable[[str, int, bool], tuple[str, int]] = decoder.scanstring  # type: ignore[attr-defined]

_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: `start` and `end` are offsets, `first` and `last` lines counted from 1, `column` from 1."""

    start: int
    end: int
    first: int
    last: int
    column: int


def locate(text: str) -> dict[str, Span]:
    """Find every value of a JSON text.

    Args:
        text: the JSON.

    Returns:
        Path -> span, the paths as policy errors write them: ``""`` for the whole, ``Version``,
        ``Statement[0].Action[1]``. Of the span of a member, the name is part. Empty where the text is no JSON, or
        nested more than 64 deep.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        end = _value(text, _skip(text, 0), "", found, 0)
    except (ValueError, IndexError):
        return {}
    if _skip(text, end) != len(text):
        return {}
    breaks = [at for at, sign in enumerate(text) if sign == "\n"]

    def line(at: int) -> int:
        return bisect_right(breaks, at - 1) + 1

    return {
        path: Span(start, stop, line(start), line(max(start, stop - 1)), start - text.rfind("\n", 0, start))
        for path, (start, stop) in found.items()
    }


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int, path: str, found: dict[str, tuple[int, int]], depth: int) -> int:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    start, sign = at, text[at]
    if sign == '"':
        _, end = _scanstring(text, at + 1, True)
    elif sign in "{[":
        end = _inside(text, at, path, found, depth)
    else:
        scalar = _SCALAR.match(text, at)
        if scalar is None:
            raise ValueError("no JSON value")
        end = scalar.end()
    found.setdefault(path, (start, end))
    return end


def _inside(text: str, at: int, path: str, found: dict[str, tuple[int, int]], depth: int) -> int:
    is_object = text[at] == "{"
    closing = "}" if is_object else "]"
    at, number = _skip(text, at + 1), 0
    if text[at] == closing:
        return at + 1
    while True:
        start = at
        if is_object:
            if text[at] != '"':
                raise ValueError("no name")
            name, at = _scanstring(text, at + 1, True)
            at = _skip(text, at)
            if text[at] != ":":
                raise ValueError("no colon")
            inner = f"{path}.{name}" if path else name
            at = _skip(text, at + 1)
        else:
            inner = f"{path}[{number}]"
        end = _value(text, at, inner, found, depth + 1)
        found[inner] = (start, end)
        number += 1
        at = _skip(text, end)
        if text[at] == closing:
            return at + 1
        if text[at] != ",":
            raise ValueError("no comma")
        at = _skip(text, at + 1)
