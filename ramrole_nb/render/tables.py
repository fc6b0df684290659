"""Tables, as HTML that reads well without any CSS, and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .style import CELL, MUTED, TEXT

__all__ = ["html_table", "text_table"]


# Longer cells may break; shorter ones stay in one line.
_SHORT = 24
_WORD = 36
# A sentence keeps the room to be read in, however narrow the page.
_LONG = 60


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    empty: str = "nothing yet",
    folded: Sequence[Sequence[object]] = (),
    folded_title: str = "",
) -> str:
    """Return a table; no rows: a sentence saying so, never a blank. `folded` rows are shown when their title is opened."""
    top = f"<p><strong>{escape(title)}</strong></p>" if title else ""
    main = _table(head, rows) if rows else f'<p style="{MUTED}">{escape(empty)}</p>'
    more = ""
    if folded:
        more = f"<details><summary>{escape(folded_title)}</summary>{_table(head, folded)}</details>"
    return f'<div style="overflow-x:auto;{TEXT}">{top}{main}{more}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    heads = "".join(f'<th scope="col" style="{CELL}">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(_cell(str(cell)) for cell in row) + "</tr>" for row in rows)
    style = f"border-collapse:collapse;margin:0 0 4px;{TEXT}"
    return f'<table style="{style}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str) -> str:
    longest = max(map(len, text.split()), default=0)
    # A word is kept whole as long as it can be: an ARN is not, an error's code is.
    breaks = "anywhere" if longest > _WORD else "break-word"
    wrap = "nowrap" if len(text) <= _SHORT else f"normal;overflow-wrap:{breaks}"
    wrap += ";min-width:10em" if len(text) > _LONG else ""
    return f'<td style="{CELL};white-space:{wrap}">{escape(text)}</td>'


def text_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, widest: int = 60) -> str:
    """Return aligned columns (cells cut at `widest` characters), or an empty string without rows."""
    if not rows:
        return ""
    table = [[str(cell) for cell in head], *([str(cell) for cell in row] for row in rows)]
    table = [[cell if len(cell) <= widest else cell[: widest - 1] + "…" for cell in row] for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
