"""Tables, as HTML that reads well without any CSS, and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .style import CELL, MUTED, TEXT

__all__ = ["html_table", "text_table"]


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "", empty: str = "nothing yet") -> str:
    """Return a table; no rows: a sentence saying so, never a blank."""
    top = f"<p><strong>{escape(title)}</strong></p>" if title else ""
    if not rows:
        return f'<div style="{TEXT}">{top}<p style="{MUTED}">{escape(empty)}</p></div>'
    heads = "".join(f'<th scope="col" style="{CELL}">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{escape(str(cell))}</td>' for cell in row) + "</tr>" for row in rows
    )
    table = f'<table style="border-collapse:collapse;{TEXT}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto;{TEXT}">{top}{table}</div>'


def text_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, widest: int = 60) -> str:
    """Return aligned columns (cells cut at `widest` characters), or an empty string without rows."""
    if not rows:
        return ""
    table = [[str(cell) for cell in head], *([str(cell) for cell in row] for row in rows)]
    table = [[cell if len(cell) <= widest else cell[: widest - 1] + "…" for cell in row] for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
