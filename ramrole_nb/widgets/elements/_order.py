"""How a table shows and orders its values: the same here and in static/table.js.

The browser orders text by `Intl.Collator("en", {numeric: true, sensitivity: "base"})`. Python has no collation that
does not hang on the machine's locale, so its first level is done here for what names are made of: punctuation, then
numbers by their value, then letters, whatever their case and accents.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

# The order the Unicode collation (CLDR root) gives them.
_MARKS = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
_RANK = {mark: rank for rank, mark in enumerate(_MARKS)}

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?")
_LAST_YEAR = 253_402_300_800  # the first second of the year 10000

Key = tuple[tuple[int, int, str], ...] | float


def moment(value: Any) -> datetime | None:
    """Return a "time" value as a UTC time: ISO 8601 text (UTC if it names no zone) or epoch seconds; None if neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(int(value), UTC) if 0 <= value < _LAST_YEAR else None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def shown(value: Any, kind: str) -> str:
    """Return a value as the table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind == "time" and (at := moment(value)):
        return at.strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def sort_key(value: Any, kind: str) -> Key | None:
    """Return what a value is ordered by; None for what comes last: nothing, or no number or time where one belongs."""
    if kind == "time":
        at = moment(value)
        return at.timestamp() if at else None
    if kind == "number":
        return float(value) if isinstance(value, int | float) else None
    text = shown(value, kind)
    return natural(text) if text else None


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which `web-2` comes before `web-10`, and `Web-2` is equal to `web-2`."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    key: list[tuple[int, int, str]] = []
    for token in re.findall(r"\d+|\D", plain, re.ASCII):
        if token.isdecimal() and token.isascii():
            key.append((1, int(token), ""))
        elif token in _RANK:
            key.append((0, _RANK[token], ""))
        elif not unicodedata.combining(token):
            key.append((2, 0, token))
    return tuple(key)
