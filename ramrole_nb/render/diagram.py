"""Diagrams of boxes in lanes, as HTML and as a text tree. Pure functions; everything that comes from outside is escaped.

The HTML is nested lists laid out with inline flex: it wraps where it is narrow, and without any CSS it still reads as an
outline. A part that is lit has a border and says so in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .style import LINE, MUTED, TEXT

__all__ = ["Box", "Diagram", "Lane", "Stop", "html_diagram", "text_diagram"]

_ACCENT = "var(--jp-brand-color1,#1976d2)"
_LIST = "list-style:none;margin:0;padding:0"
_PLAIN = f"border:{LINE};border-radius:4px;padding:6px 10px;margin:4px 0;overflow-wrap:anywhere"
_LIT = f"border:3px solid {_ACCENT};border-radius:4px;padding:4px 8px;margin:4px 0;overflow-wrap:anywhere"
_LANE = f"display:flex;flex-wrap:wrap;gap:4px 14px;align-items:flex-start;border-top:{LINE};padding:8px 0;margin:0"
_COLUMN = "flex:1 1 165px;min-width:0"


@dataclass(frozen=True)
class Box:
    """One thing: what `kind` it is, its `title`, lines about it, and smaller boxes in it. `step` names it for lighting."""

    title: str
    kind: str = ""
    lines: tuple[str, ...] = ()
    parts: tuple[Box, ...] = ()
    step: str = ""


@dataclass(frozen=True)
class Stop:
    """Where an arrow leads: its text, and the boxes at its end (none: `empty` says so)."""

    arrow: str
    boxes: tuple[Box, ...] = ()
    empty: str = "nothing yet"
    step: str = ""


@dataclass(frozen=True)
class Lane:
    """A box and where one gets from it, stop by stop."""

    head: Box
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True)
class Diagram:
    """A box on top, an arrow, and lanes below it; `more` lanes and `folded` lists open when their title is chosen.

    `notes` are sentences below; `folded` has (title, lines).
    """

    title: str
    top: Box
    arrow: str
    lanes: tuple[Lane, ...]
    more: tuple[Lane, ...] = ()
    more_title: str = ""
    notes: tuple[str, ...] = ()
    folded: tuple[tuple[str, tuple[str, ...]], ...] = ()


def html_diagram(diagram: Diagram, *, lit: str = "", said: str = "") -> str:
    """Return the diagram; boxes and stops whose `step` is `lit` are marked with the words `said`."""

    def mark(step: str) -> str:
        if not lit or step != lit:
            return ""
        return f'<div><strong style="color:{_ACCENT}">◀ {escape(said)}</strong></div>'

    def box(given: Box, tag: str = "div") -> str:
        marked = mark(given.step)
        kind = f'<span style="{MUTED}">{escape(given.kind)}</span> ' if given.kind else ""
        lines = "".join(f"<div>{escape(line)}</div>" for line in given.lines)
        parts = "".join(box(part) for part in given.parts)
        current = ' aria-current="step"' if marked else ""
        return (
            f'<{tag} style="{_LIT if marked else _PLAIN}"{current}><div>{kind}<strong>{escape(given.title)}'
            f"</strong></div>{lines}{parts}{marked}</{tag}>"
        )

    def stop(given: Stop) -> str:
        marked = mark(given.step)
        boxes = "".join(box(item, "li") for item in given.boxes)
        found = (
            f'<ul style="{_LIST}">{boxes}</ul>'
            if boxes
            else f'<div style="{MUTED}">{escape(given.empty)}</div>'
        )
        current = ' aria-current="step"' if marked else ""
        lit_column = f";border-left:3px solid {_ACCENT};padding-left:8px" if marked else ""
        return (
            f'<div style="{_COLUMN}{lit_column}"{current}>'
            f'<div style="margin:4px 0">→ {escape(given.arrow)}</div>{marked}{found}</div>'
        )

    def lane(given: Lane) -> str:
        head = f'<div style="{_COLUMN}">{box(given.head)}</div>'
        return f'<li style="{_LANE}">{head}{"".join(stop(item) for item in given.stops)}</li>'

    def lanes(given: Sequence[Lane]) -> str:
        return f'<ul style="{_LIST}">{"".join(lane(item) for item in given)}</ul>'

    more = ""
    if diagram.more:
        more = f"<details><summary>{escape(diagram.more_title)}</summary>{lanes(diagram.more)}</details>"
    folded = "".join(
        f"<details><summary>{escape(title)}</summary><ul>"
        f"{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul></details>"
        for title, lines in diagram.folded
    )
    notes = "".join(f'<p style="margin:4px 0;{MUTED}">{escape(note)}</p>' for note in diagram.notes)
    return (
        f'<div role="group" aria-label="{escape(diagram.title, quote=True)}" style="overflow-x:auto;{TEXT}">'
        f'<div style="max-width:28em">{box(diagram.top)}</div>'
        f'<div style="margin:4px 0">↓ {escape(diagram.arrow)}</div>'
        f"{lanes(diagram.lanes)}{more}{folded}{notes}</div>"
    )


def text_diagram(diagram: Diagram, *, lit: str = "", said: str = "") -> str:
    """Return the same as a tree of text."""

    def marked(text: str, step: str) -> str:
        return f"{text}   ◀ {said}" if lit and step == lit else text

    def box(given: Box) -> _Node:
        title = " ".join(part for part in (given.kind, given.title) if part)
        children = [*(_Node(line) for line in given.lines), *(box(part) for part in given.parts)]
        if not given.parts and given.lines:  # one line says all of a small box
            return _Node(marked(": ".join([title, ", ".join(given.lines)]), given.step))
        return _Node(marked(title, given.step), children)

    def lane(given: Lane) -> _Node:
        head = box(given.head)
        stops = [
            _Node(marked(f"→ {s.arrow}", s.step), [box(b) for b in s.boxes] or [_Node(s.empty)])
            for s in given.stops
        ]
        return _Node(head.text, [*head.children, *stops])

    tree = box(diagram.top)
    lines = [diagram.title, tree.text, f"  ↓ {diagram.arrow}"]
    lines += _tree([lane(item) for item in diagram.lanes])
    if diagram.more:
        lines += [diagram.more_title, *_tree([lane(item) for item in diagram.more])]
    lines += [f"{title}: {', '.join(found)}" for title, found in diagram.folded]
    return "\n".join([*lines, *diagram.notes])


@dataclass(frozen=True)
class _Node:
    text: str
    children: Sequence[_Node] = ()


def _tree(nodes: Sequence[_Node], indent: str = "") -> Iterator[str]:
    for at, node in enumerate(nodes):
        last = at == len(nodes) - 1
        yield f"{indent}{'└─' if last else '├─'} {node.text}"
        yield from _tree(node.children, indent + ("   " if last else "│  "))
