"""What a file holds, for a person to see: a picture, the first rows of a table, the first lines of a text.

A preview is small whatever the file is, its text is escaped, and secrets in it are masked. A picture must be one by its
first bytes too: a name alone would show a broken image. SVG is not shown: it may carry scripts.
"""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath

from ..redact import redact
from .cards import html_card, text_card
from .style import LINE, MUTED, TEXT
from .tables import html_table, text_table

__all__ = ["Preview", "bytes_needed", "preview"]

# A picture larger than this (in bytes) would bloat the notebook that shows it.
MOST_PICTURE = 4 * 1024 * 1024
MOST_TEXT = 64 * 1024
MOST_LINES, MOST_COLUMNS, MOST_LINE, MOST_CELL = 20, 12, 200, 80

# Suffix -> the type, and the first bytes a file of it has.
_PICTURES = {
    ".png": ("image/png", (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": ("image/jpeg", (b"\xff\xd8\xff",)),
    ".jpeg": ("image/jpeg", (b"\xff\xd8\xff",)),
    ".gif": ("image/gif", (b"GIF87a", b"GIF89a")),
}
_TEXTS = {".txt", ".md", ".json", ".log"}
_TABLES = {".csv": ",", ".tsv": "\t"}

_LINES = (
    f"margin:4px 0;padding:6px 8px;border:{LINE};overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere"
)


@dataclass(frozen=True)
class Preview:
    """`kind` is `picture`, `table`, `text` or `none`; `html` and `text` say the same."""

    kind: str
    html: str
    text: str


def bytes_needed(name: str) -> int:
    """Return how many of a file's first bytes `preview` wants (0: its name tells that there will be none)."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _PICTURES:
        return MOST_PICTURE
    return MOST_TEXT if suffix in _TEXTS or suffix in _TABLES else 0


def preview(name: str, head: bytes, size: int, *, facts: Sequence[tuple[str, str]] = ()) -> Preview:
    """Return what to show of a file.

    Parameters: `name` decides by its suffix how it is read; `head` its first `bytes_needed(name)` bytes; `size` of the
    whole, in bytes; `facts` are labelled texts that stand with it.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in _PICTURES:
        return _picture(name, head, size, suffix, facts)
    if suffix in _TEXTS or suffix in _TABLES:
        text = _decoded(head[:MOST_TEXT], whole=len(head) >= size)
        if text is None:
            return _none(name, facts, "no preview: it is not text, whatever its name says")
        rows = _rows(text, _TABLES[suffix], whole=len(head) >= size) if suffix in _TABLES else None
        if rows is not None:
            return _table(name, rows, len(head) >= size, facts)
        return _text(name, text, len(head) >= size, facts)
    return _none(name, facts, "no preview of this kind of file")


def _picture(name: str, head: bytes, size: int, suffix: str, facts: Sequence[tuple[str, str]]) -> Preview:
    kind, beginnings = _PICTURES[suffix]
    if not head.startswith(beginnings):
        return _none(name, facts, "no preview: it is no picture, whatever its name says")
    if size > MOST_PICTURE:
        return _none(name, facts, f"no preview: pictures of up to {MOST_PICTURE // 1024**2} MB are shown")
    if len(head) < size:
        return _none(name, facts, "no preview: the file was cut short since")
    data = b64encode(head).decode()
    html = (
        f'<figure style="margin:4px 0"><img alt="{escape(name)}" src="data:{kind};base64,{data}" '
        f'style="max-width:100%;height:auto"></figure>'
    )
    return Preview("picture", html_card(name, facts) + html, text_card(name, facts, note="a picture"))


def _text(name: str, text: str, whole: bool, facts: Sequence[tuple[str, str]]) -> Preview:
    lines = redact(text).splitlines()
    shown = [line if len(line) <= MOST_LINE else line[:MOST_LINE] + "…" for line in lines[:MOST_LINES]]
    if not shown:
        return _none(name, facts, "it is empty")
    note = _first("lines", len(shown), len(lines), whole)
    body = f'<pre style="{_LINES}">{escape(chr(10).join(shown))}</pre>'
    below = f'<p style="margin:2px 0;{MUTED}">{escape(note)}</p>' if note else ""
    plain = "\n".join([text_card(name, facts), *shown, *([note] if note else [])])
    return Preview("text", f'{html_card(name, facts)}<div style="{TEXT}">{body}{below}</div>', plain)


def _table(name: str, rows: list[list[str]], whole: bool, facts: Sequence[tuple[str, str]]) -> Preview:
    if not rows:
        return _none(name, facts, "it is empty")
    width = max(len(row) for row in rows[: MOST_LINES + 1])
    kept = min(width, MOST_COLUMNS)
    cut = [[_cell(row[i]) if i < len(row) else "" for i in range(kept)] for row in rows[: MOST_LINES + 1]]
    head, body = cut[0], cut[1:]
    notes = [
        _first("rows", len(body), len(rows) - 1, whole),
        f"the first {kept} of {width} columns" if width > kept else "",
    ]
    note = ", ".join(part for part in notes if part)
    below = f'<p style="margin:2px 0;{MUTED}">{escape(note)}</p>' if note else ""
    html = (
        html_card(name, facts) + html_table(head, body, empty="only a first row: " + ", ".join(head)) + below
    )
    plain = text_table(head, body, widest=30) or ", ".join(head)
    return Preview("table", html, "\n".join([text_card(name, facts), plain, *([note] if note else [])]))


def _none(name: str, facts: Sequence[tuple[str, str]], why: str) -> Preview:
    return Preview("none", html_card(name, facts, note=why), text_card(name, facts, note=why))


def _first(what: str, shown: int, known: int, whole: bool) -> str:
    if whole:
        return f"the first {shown} of {known:,} {what}" if known > shown else ""
    return f"the first {shown} {what}"


def _cell(text: str) -> str:
    safe = redact(text)
    return safe if len(safe) <= MOST_CELL else safe[:MOST_CELL] + "…"


def _decoded(head: bytes, *, whole: bool) -> str | None:
    """Return bytes as text, or None where they are none. A character cut in two at the end is left out."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    for end in range(1 if whole else 4):
        try:
            text = head[: len(head) - end].decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def _rows(text: str, delimiter: str, *, whole: bool) -> list[list[str]] | None:
    """Return the rows of a table (the last one left out where it may be cut), or None where it cannot be read as one."""
    first = text.split("\n", 1)[0]
    if delimiter == "," and "," not in first and ";" in first:  # what spreadsheets write in half of Europe
        delimiter = ";"
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return None
    rows = rows if whole or len(rows) < 2 else rows[:-1]
    return [row for row in rows if row]
