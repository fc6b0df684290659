"""A document's text with one statement marked: where does it say so?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ramrole_nb.policy.documents import PolicyDocument, dump
from ramrole_nb.policy.markup import PRE, TEXT
from ramrole_nb.policy.positions import locate

__all__ = ["Highlighted", "highlight"]

# Longer than any policy: it is cut, so that no page drowns in it.
_LONGEST = 60_000
_ARROW = "◀ this statement"
_MARK = (
    "background:var(--jp-warn-color3,#ffe082);color:#1f1f1f;font-weight:bold;"
    "border-left:4px solid var(--jp-warn-color1,#b26a00);padding-left:4px"
)


@dataclass(frozen=True)
class Highlighted:
    """A text whose lines `first` to `last` (counted from 1, both in) are marked; 0 and 0: none is.

    In a notebook it shows as HTML; `text()` is the same without.
    """

    lines: tuple[str, ...]
    first: int
    last: int
    name: str = ""
    statement: int = 0

    @property
    def marked(self) -> str:
        """The marked lines."""
        return "\n".join(self.lines[self.first - 1 : self.last]) if self.first else ""

    @property
    def title(self) -> str:
        """What is shown, in words."""
        where = self.name or "the document"
        if not self.first:
            return f"{where}: Statement[{self.statement}] was not found in it"
        lines = f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"
        return f"{where}: Statement[{self.statement}], {lines}"

    def html(self) -> str:
        """Return the text in a `<pre>`, the statement in a `<mark>`."""
        shown = []
        for number, line in enumerate(self.lines, 1):
            safe = escape(line)
            if self.first <= number <= self.last:
                arrow = f"  {_ARROW}" if number == self.first else ""
                safe = f'<mark style="{_MARK}">{safe}{arrow}</mark>'
            shown.append(safe)
        body = "\n".join(shown)
        return f'<div style="{TEXT}"><p>{escape(self.title)}</p><pre style="{PRE}">{body}</pre></div>'

    def text(self) -> str:
        """Return the text, each marked line behind a ``>``."""
        shown = [self.title]
        for number, line in enumerate(self.lines, 1):
            inside = self.first <= number <= self.last
            arrow = f"  {_ARROW}" if number == self.first else ""
            shown.append(f"{'>' if inside else ' '} {line}{arrow}")
        return "\n".join(shown)

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


def highlight(
    document: str | Mapping[str, Any] | PolicyDocument, statement: int, *, element: str = "", name: str = ""
) -> Highlighted:
    """Mark a statement in a document.

    A text that holds everything in one line is laid out first, as a line is what can be marked.

    Args:
        document: its text, the object read from it, or the parsed document.
        statement: the statement's place, counted from 0, as in `TraceRow.statement`.
        element: mark only this element of it, such as ``Action``.
        name: the policy's name, for the title.

    Returns:
        The marked text. Nothing is marked where the text is no JSON, or has no such statement.
    """
    if isinstance(document, PolicyDocument):
        document = document.source_text or document.to_json(2)
    text = document if isinstance(document, str) else dump(document, 2)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    path = f"Statement[{statement}]" + (f".{element}" if element else "")
    spans = locate(text)
    if spans and path in spans and spans[path].first == spans[path].last and "\n" not in text.strip():
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
        spans = locate(text)
    span = spans.get(path)
    lines = tuple(text.split("\n"))
    return Highlighted(lines, span.first if span else 0, span.last if span else 0, name, statement)
