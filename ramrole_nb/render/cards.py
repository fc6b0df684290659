"""Cards: a title and labelled facts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .style import LINE, MUTED, TEXT

__all__ = ["html_card", "html_facts", "html_terms", "text_card", "text_facts"]

_LABEL = (
    f"text-align:left;vertical-align:top;padding:2px 16px 2px 0;font-weight:normal;white-space:nowrap;{MUTED}"
)
_VALUE = "text-align:left;padding:2px 0;white-space:normal;overflow-wrap:anywhere"


def html_card(title: str, facts: Sequence[tuple[str, str]], *, note: str = "") -> str:
    """Return a card; empty facts are left out."""
    below = f'<p style="margin:6px 0 0;{MUTED}">{escape(note)}</p>' if note else ""
    return (
        f'<div style="border:{LINE};border-radius:4px;padding:8px 12px;margin:4px 0;max-width:60em;{TEXT}">'
        f"<strong>{escape(title)}</strong>"
        f"{html_facts(facts)}{below}</div>"
    )


def html_facts(facts: Sequence[tuple[str, str]]) -> str:
    """Return labelled facts; empty ones are left out."""
    rows = "".join(
        f'<tr><th scope="row" style="{_LABEL}">{escape(label)}</th><td style="{_VALUE}">{escape(value)}</td></tr>'
        for label, value in facts
        if value
    )
    return (
        f'<table style="border-collapse:collapse;margin:4px 0 0;{TEXT}"><tbody>{rows}</tbody></table>'
        if rows
        else ""
    )


# A grid of its own: a front end's style for lists of terms floats them, and they run into each other where it is narrow.
_TERMS = "display:grid;grid-template-columns:minmax(0,max-content) minmax(0,1fr);gap:4px 16px;margin:6px 0 0;max-width:60em"
_TERM = f"float:none;width:auto;margin:0;padding:0;{MUTED}"
_MEANING = "float:none;width:auto;margin:0;padding:0;overflow-wrap:anywhere"


def html_terms(terms: Sequence[tuple[str, str]]) -> str:
    """Return a list of terms; each meaning is HTML already. No terms: an empty string."""
    rows = "".join(
        f'<dt style="{_TERM}">{escape(term)}</dt><dd style="{_MEANING}">{meaning}</dd>'
        for term, meaning in terms
    )
    return f'<dl style="{_TERMS};{TEXT}">{rows}</dl>' if rows else ""


def text_card(title: str, facts: Sequence[tuple[str, str]], *, note: str = "") -> str:
    """Return the same as plain text."""
    lines = [title, *text_facts(facts)]
    return "\n".join([*lines, f"  {note}"] if note else lines)


def text_facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Return labelled facts as lines; empty ones are left out."""
    shown = [(label, value) for label, value in facts if value]
    width = max((len(label) for label, _ in shown), default=0)
    return [f"  {label.ljust(width)}  {value}" for label, value in shown]
