"""Labelled fields, and the sentence beside a field that says whether its value will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import ipywidgets as widgets

from ..errors import RamroleError

__all__ = ["Checked", "choice", "choose", "heading", "note", "text_area", "text_field"]

_WIDE = {"description_width": "initial"}


def text_field(label: str, value: str = "", *, placeholder: str = "", width: str = "22em") -> widgets.Text:
    """Return a one-line field with its label."""
    layout = widgets.Layout(width=width, max_width="100%")
    return widgets.Text(value=value, description=label, placeholder=placeholder, style=_WIDE, layout=layout)


def text_area(label: str, value: str = "", *, rows: int = 8) -> widgets.Textarea:
    """Return a field for a document, its label above it."""
    layout = widgets.Layout(width="100%")
    return widgets.Textarea(value=value, description=label, rows=rows, style=_WIDE, layout=layout)


def choice(
    label: str, options: Sequence[str] | Sequence[tuple[str, str]], value: str | None = None
) -> widgets.Dropdown:
    """Return a drop-down list with its label."""
    layout = widgets.Layout(width="auto", max_width="100%")
    return widgets.Dropdown(options=options, value=value, description=label, style=_WIDE, layout=layout)


def choose(field: widgets.Dropdown, options: Sequence[str] | Sequence[tuple[str, str]]) -> None:
    """Offer other options; the chosen one stays if it is still there, else the first is chosen."""
    if tuple(options) == tuple(field.options) and (field.value is not None or not options):
        return
    held = field.value
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    field.options = options
    field.value = held if held in values else next(iter(values), None)


def heading(text: str) -> widgets.HTML:
    """Return a heading inside a panel."""
    return widgets.HTML(
        f'<div class="rr-part" role="heading" aria-level="4"><strong>{escape(text)}</strong></div>'
    )


def note(text: str) -> widgets.HTML:
    """Return a sentence for the reader."""
    return widgets.HTML(f'<div class="rr-note">{escape(text)}</div>')


class Checked:
    """Watches a field and says whether its value will do.

    `check(value)` returns what to say of a good value, and raises RamroleError or ValueError for a bad one.
    """

    def __init__(self, field: widgets.ValueWidget, check: Callable[[str], str]) -> None:
        self._field, self._check = field, check
        self.said = widgets.HTML()
        self.ok = False
        field.observe(lambda _: self.look(), names=["value"])
        self.look()

    def look(self) -> None:
        """Check the value now."""
        try:
            told, self.ok = self._check(self._field.value), True
        except RamroleError as error:
            told, self.ok = (
                " ".join(part for part in (error.what, error.reason, error.next_step) if part),
                False,
            )
        except ValueError as error:
            told, self.ok = str(error), False
        mark = "✓" if self.ok else "✕ not yet:"
        self.said.value = f'<span class="rr-check">{mark} {escape(told)}</span>' if told else ""
