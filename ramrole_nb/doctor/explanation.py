"""What an error means: the value `explain` returns, as text, HTML, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..render import html_card, text_card
from ..render.cards import html_terms

__all__ = ["Explanation"]

_CODE = "font-family:var(--jp-code-font-family,monospace);white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0"


@dataclass(frozen=True)
class Explanation:
    """What an error is, why it happened and what to do. Everything secret in it is masked.

    `known` says whether the cause is known; `cause` is its id in `doctor.causes` (`unknown` where it is not) and `why` its
    sentence. `service`, `operation`, `code`, `ec`, `status`, `request_id` and `message` are the service's own (empty or 0
    where the text does not hold them); `denied` holds the fields of AccessDeniedDetail, `facts` what decides, `diagnostic`
    the decoded diagnostic message where one was decoded. `call`, `command` and `console` are the next step in Python, in the
    shell and in the console, and `words` what to do where none of them does it, each empty where there is none; `link` is
    a page; `notes` is what else is worth knowing.
    """

    what: str
    known: bool
    cause: str
    why: str
    service: str = ""
    operation: str = ""
    code: str = ""
    ec: str = ""
    status: int = 0
    request_id: str = ""
    message: str = ""
    denied: Mapping[str, str] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    call: str = ""
    command: str = ""
    console: str = ""
    words: str = ""
    link: str = ""
    notes: tuple[str, ...] = ()
    diagnostic: Mapping[str, Any] | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return what was read as (label, value), empty values left out."""
        status = f"HTTP {self.status}" if self.status else ""
        rows = [
            ("what", self.what),
            ("service", self.service),
            ("operation", self.operation),
            ("answer", ", ".join(part for part in (self.code, status, self.ec and f"EC {self.ec}") if part)),
            ("message", self.message),
            *self.facts,
            *((label, value) for label, value in self.denied.items()),
            ("request id", self.request_id),
            ("cause", self.cause if self.known else ""),
        ]
        return [(label, value) for label, value in rows if value]

    def steps(self) -> list[tuple[str, str]]:
        """Return the next step as (where, how): in Python, in the shell, in the console, in words."""
        rows = [
            ("Python", self.call),
            ("shell", self.command),
            ("console", self.console),
            ("in words", self.words),
        ]
        return [(where, how) for where, how in rows if how]

    def __str__(self) -> str:
        steps = [(f"next step ({where})", how) for where, how in self.steps()]
        lines = [text_card(self.why, [*self.rows(), *steps, ("page", self.link)])]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        terms = [
            (f"Next step ({where})", f'<code style="{_CODE}">{escape(how)}</code>')
            for where, how in self.steps()
        ]
        if self.link:
            terms.append(("Page", f'<a href="{escape(self.link)}">{escape(self.link)}</a>'))
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        more = f'<p style="margin:6px 0 0">Notes</p><ul style="margin:0">{notes}</ul>' if notes else ""
        mark = "Cause found: " if self.known else "Cause not known: "
        return f"{html_card(mark + self.why, self.rows())}{html_terms(terms)}{more}"

    def to_html(self) -> str:
        """Return it as HTML."""
        return self._repr_html_()

    def to_text(self) -> str:
        """Return it as plain text."""
        return str(self)

    def to_markdown(self) -> str:
        """Return it as Markdown, for an issue or a chat."""
        lines = [f"**{_marked(self.why)}**", "", "| | |", "| --- | --- |"]
        lines += [f"| {_marked(label)} | {_marked(value)} |" for label, value in self.rows()]
        for where, how in self.steps():
            lines += ["", f"Next step ({where}):", "", *(f"    {line}" for line in how.splitlines())]
        if self.link:
            lines += ["", f"<{self.link}>"]
        return "\n".join([*lines, *(f"\n- {_marked(note)}" for note in self.notes)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can hold."""
        return {
            "known": self.known,
            "cause": self.cause,
            "why": self.why,
            "what": self.what,
            "service": self.service,
            "operation": self.operation,
            "code": self.code,
            "ec": self.ec,
            "status": self.status,
            "request_id": self.request_id,
            "message": self.message,
            "denied": dict(self.denied),
            "facts": dict(self.facts),
            "next_step": {
                "call": self.call,
                "command": self.command,
                "console": self.console,
                "words": self.words,
            },
            "link": self.link,
            "notes": list(self.notes),
            "diagnostic": dict(self.diagnostic) if self.diagnostic is not None else None,
        }


_MARKS = str.maketrans({mark: "\\" + mark for mark in "\\`*_{}[]<>#|~!"} | {"\n": " "})


def _marked(text: str) -> str:
    """Return a text as Markdown shows it: nothing from outside becomes markup."""
    return text.translate(_MARKS)
