"""A value opened into sections: facts, and texts of which some lines are marked. HTML that reads without CSS, and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .cards import html_facts, text_facts
from .style import LINE, MUTED, TEXT

__all__ = ["Code", "Section", "html_sections", "text_sections"]

_PRE = (
    f"margin:4px 0;padding:6px 8px;border:{LINE};white-space:pre-wrap;overflow-wrap:anywhere;max-height:22em;overflow:auto;"
    f"background:var(--jp-layout-color2,transparent);{TEXT}"
)
_MARK = "font-weight:bold;border-left:3px solid var(--jp-brand-color1,#1976d2);display:block;padding-left:4px"


@dataclass(frozen=True)
class Code:
    """A text under a title; the lines in `marked` (numbers from 0) are the ones that matter."""

    title: str
    text: str
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """One part: a title, labelled facts, texts, and a sentence."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    codes: tuple[Code, ...] = ()
    note: str = ""


def html_sections(title: str, sections: Sequence[Section]) -> str:
    """Return the sections below a title."""
    body = "".join(_section(section) for section in sections)
    return (
        f'<div style="border:{LINE};border-radius:4px;padding:8px 12px;margin:4px 0;{TEXT}">'
        f'<p style="margin:0"><strong>{escape(title)}</strong></p>{body}</div>'
    )


def _section(section: Section) -> str:
    note = f'<p style="margin:2px 0;{MUTED}">{escape(section.note)}</p>' if section.note else ""
    codes = "".join(
        f"<details{' open' if code.marked else ''}><summary>{escape(code.title)}</summary>"
        f'<pre style="{_PRE}">{_lines(code)}</pre></details>'
        for code in section.codes
    )
    return (
        f'<section><p style="margin:8px 0 0"><strong>{escape(section.title)}</strong></p>'
        f"{html_facts(section.facts)}{note}{codes}</section>"
    )


def _lines(code: Code) -> str:
    parts, block = [], []
    for number, line in enumerate(code.text.split("\n")):
        if number in code.marked:
            block.append(f"▶ {escape(line)}")
            continue
        if block:
            parts.append(f'<b style="{_MARK}">{chr(10).join(block)}</b>')
            block = []
        indent = "  " if code.marked else ""
        parts.append(f"{indent}{escape(line)}\n")
    if block:
        parts.append(f'<b style="{_MARK}">{chr(10).join(block)}</b>')
    return "".join(parts).rstrip("\n")


def text_sections(title: str, sections: Sequence[Section]) -> str:
    """Return the same as text."""
    lines = [title]
    for section in sections:
        lines += ["", section.title, *text_facts(section.facts)]
        if section.note:
            lines.append(f"  {section.note}")
        for code in section.codes:
            lines.append(f"  {code.title}:")
            for number, line in enumerate(code.text.split("\n")):
                lines.append(f"  {'▶' if number in code.marked else '|'} {line}")
    return "\n".join(lines)
