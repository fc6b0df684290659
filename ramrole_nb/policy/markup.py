"""The few pieces of HTML that policy views share: escaped, with inline styles only, readable without any."""

from __future__ import annotations

from html import escape

__all__ = ["BOX", "CELL", "PRE", "TEXT", "WIDE_CELL", "sentence"]

TEXT = "color:var(--jp-content-font-color1,inherit)"
_LINE = "1px solid var(--jp-border-color2,#bdbdbd)"
CELL = f"text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:{_LINE};overflow-wrap:break-word"
#: For a cell of sentences: it may break anywhere, so that a long ARN does not widen the table.
WIDE_CELL = f"{CELL};overflow-wrap:anywhere;min-width:10em"
BOX = f"border:{_LINE};border-radius:4px;padding:8px 12px;margin:4px 0;max-width:60em;{TEXT}"
PRE = f"margin:4px 0;padding:4px 0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;{TEXT}"


def sentence(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"
