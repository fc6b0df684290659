"""Who may do what: the decisions of named documents for actions and resources, as a table whose cells can be opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ramrole_nb.policy.conditions import Context
from ramrole_nb.policy.evaluate import evaluate
from ramrole_nb.policy.highlight import Highlighted, highlight
from ramrole_nb.policy.known import misfit, near
from ramrole_nb.policy.markup import BOX, CELL, TEXT, WIDE_CELL, sentence
from ramrole_nb.policy.model import Decision, NamedDocument, Outcome, Request, TraceRow

__all__ = ["SYMBOLS", "WORDS", "Cell", "Matrix", "matrix", "trace_html", "trace_text"]

#: Outcome -> the sign of a cell.
SYMBOLS: Mapping[Outcome, str] = {
    Outcome.ALLOW: "✓",
    Outcome.EXPLICIT_DENY: "✕",
    Outcome.IMPLICIT_DENY: "–",
    Outcome.UNKNOWN: "?",
}

#: Outcome -> the words beside it.
WORDS: Mapping[Outcome, str] = {
    Outcome.ALLOW: "allowed",
    Outcome.EXPLICIT_DENY: "denied",
    Outcome.IMPLICIT_DENY: "not allowed",
    Outcome.UNKNOWN: "unknown",
}

_LEGEND = (
    "✓ allowed · ✕ denied: a Deny statement says so · – not allowed: no Allow statement covers it · "
    "? unknown: something is not modelled"
)
_PARTS = ("action", "principal", "resource", "condition")


@dataclass(frozen=True)
class Cell:
    """One decision. `deciding` marks the statement that decided in its document; None where none did."""

    request: Request
    decision: Decision
    documents: tuple[NamedDocument, ...] = field(repr=False)

    @property
    def label(self) -> str:
        """The sign and the words, such as ``✓ allowed``; ``, never asked`` behind where no request is like this."""
        words = f"{SYMBOLS[self.decision.outcome]} {WORDS[self.decision.outcome]}"
        return f"{words}, never asked" if self.note else words

    @property
    def note(self) -> str:
        """Why no request ever asks for this, as for an object action on a bucket; empty where one may."""
        return misfit(self.request.action, self.request.resource)

    @property
    def deciding(self) -> Highlighted | None:
        """The document of the deciding statement, with the statement marked."""
        row = self.decision.matched
        if row is None:
            return None
        for held in self.documents:
            if (held.name, held.type) == (row.policy, row.policy_type):
                return highlight(held.document, row.statement, name=held.name)
        return None

    def html(self) -> str:
        """Return the decision, the deciding statement and the trace."""
        marked = self.deciding
        shown = marked.html() if marked is not None else ""
        title = f"{self.label}: {self.request.action} on {self.request.resource}"
        trace = trace_html(self.decision.trace)
        return f'<div style="{BOX}"><strong>{escape(title)}</strong>{self.told_html()}{shown}{trace}</div>'

    def told_html(self) -> str:
        """Return the reason, and the note if there is one."""
        return sentence(self.decision.because) + (sentence(self.note) if self.note else "")

    def text(self) -> str:
        """Return the same as text."""
        marked = self.deciding
        lines = [
            f"{self.label}: {self.request.action} on {self.request.resource}",
            f"  {self.decision.because}",
            *([f"  {self.note}"] if self.note else []),
        ]
        return "\n".join(
            [*lines, *([marked.text()] if marked is not None else []), trace_text(self.decision.trace)]
        )

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class Matrix:
    """Decisions for `actions` × `resources`; `m["oss:GetObject", resource]` is a cell. Shows itself as a table."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell] = field(repr=False)
    names: tuple[str, ...] = ()

    def __getitem__(self, place: tuple[str, str]) -> Cell:
        if place in self.cells:
            return self.cells[place]
        action, resource = place
        wrong, valid = (action, self.actions) if action not in self.actions else (resource, self.resources)
        close = near(wrong, valid, 0.5)
        raise KeyError(f"the matrix has no {wrong!r}" + (f"; did you mean {close!r}?" if close else ""))

    def rows(self) -> list[list[str]]:
        """Return one row for each action: its name, then a label for each resource."""
        return [[action, *(self.cells[action, r].label for r in self.resources)] for action in self.actions]

    @property
    def title(self) -> str:
        """Whose decisions these are."""
        return f"What {', '.join(self.names) or 'no policy'} allow{'s' if len(self.names) <= 1 else ''}"

    def html(self) -> str:
        """Return the table; each cell opens to its reason and its trace."""
        if not self.cells:
            return f'<div style="{TEXT}">{sentence("Nothing to decide: name at least one action and one resource.")}</div>'
        heads = "".join(
            f'<th scope="col" style="{WIDE_CELL}">{escape(name)}</th>' for name in ("action", *self.resources)
        )
        body = []
        for action in self.actions:
            cells = "".join(self._cell(self.cells[action, resource]) for resource in self.resources)
            body.append(f'<tr><th scope="row" style="{CELL}">{escape(action)}</th>{cells}</tr>')
        style = f"border-collapse:collapse;margin:4px 0;{TEXT}"
        return (
            f'<div style="overflow-x:auto;{TEXT}"><p><strong>{escape(self.title)}</strong></p>'
            f'<table style="{style}"><thead><tr>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table>'
            f"{sentence(_LEGEND)}</div>"
        )

    def _cell(self, cell: Cell) -> str:
        inside = f"{cell.told_html()}{trace_html(cell.decision.trace)}"
        return f'<td style="{CELL}"><details><summary>{escape(cell.label)}</summary>{inside}</details></td>'

    def text(self) -> str:
        """Return the table as aligned columns."""
        if not self.cells:
            return "nothing to decide: name at least one action and one resource"
        table = [["action", *self.resources], *self.rows()]
        return f"{self.title}\n{_columns(table)}\n{_LEGEND}"

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return self.text()


def matrix(
    documents: Iterable[NamedDocument],
    actions: Iterable[str],
    resources: Iterable[str],
    *,
    context: Context | None = None,
    principal: str = "",
    principal_ids: tuple[str, ...] = (),
    session: NamedDocument | None = None,
    control: Iterable[NamedDocument] = (),
) -> Matrix:
    """Decide every action on every resource.

    Args:
        documents: the identity policies and bucket policies, as for `evaluate`.
        actions: such as ``oss:GetObject``.
        resources: ARNs, such as ``acs:oss:oss-cn-beijing:123456:my-bucket/a.png``.
        context: condition keys that each request carries.
        principal: the caller's ARN.
        principal_ids: other names of the caller, for bucket policies.
        session: the session policy, if there is one.
        control: control policies, if some apply.

    Returns:
        The matrix; repeated actions and resources count once.
    """
    held, limits = tuple(documents), tuple(control)
    rows, columns = tuple(dict.fromkeys(actions)), tuple(dict.fromkeys(resources))
    shown = (*limits, *((session,) if session is not None else ()), *held)
    cells = {}
    for action in rows:
        for resource in columns:
            request = Request(action, resource, principal, context or {}, principal_ids)
            decision = evaluate(request, held, session=session, control=limits)
            cells[action, resource] = Cell(request, decision, shown)
    return Matrix(rows, columns, cells, tuple(dict.fromkeys(named.name for named in shown)))


def trace_html(trace: Sequence[TraceRow]) -> str:
    """Return a trace as a table: how each statement met the request, part by part."""
    if not trace:
        return sentence("There is no statement to read.")
    heads = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in _trace_head(trace))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in cells[:-1])
        + f'<td style="{WIDE_CELL}">{escape(cells[-1])}</td></tr>'
        for cells in _trace_rows(trace)
    )
    table = f'<table style="border-collapse:collapse;{TEXT}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto">{table}</div>'


def trace_text(trace: Sequence[TraceRow]) -> str:
    """Return the same as text."""
    if not trace:
        return "there is no statement to read"
    return _columns([_trace_head(trace), *_trace_rows(trace)])


def _trace_parts(trace: Sequence[TraceRow]) -> tuple[str, ...]:
    return tuple(part for part in _PARTS if any(getattr(row, part) != "none" for row in trace))


def _trace_head(trace: Sequence[TraceRow]) -> list[str]:
    return ["statement", "effect", *_trace_parts(trace), "why"]


def _trace_rows(trace: Sequence[TraceRow]) -> list[list[str]]:
    parts = _trace_parts(trace)
    return [
        [row.place, row.effect, *(_STATES[getattr(row, part)] for part in parts), row.why] for row in trace
    ]


_STATES = {
    "matched": "✓ fits",
    "failed": "✕ does not fit",
    "unknown": "? unknown",
    "none": "–",
    "skipped": "not looked at",
}


def _columns(table: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
