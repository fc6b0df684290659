"""What a diagnosis is: its findings and how it came to them, as HTML, text, Markdown and JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..redact import redact
from ..render import html_table, text_card, text_table
from ..render.cards import html_terms
from ..render.style import LINE, MUTED, TEXT
from .causes import cause

__all__ = ["Diagnosis", "Finding", "Probe", "found"]

_CODE = (
    "font-family:var(--jp-code-font-family,monospace);white-space:pre-wrap;overflow-wrap:anywhere;"
    "margin:2px 0;user-select:all"
)
_MARKS = {"ok": "✓ ok", "bad": "✕ not ok", "unknown": "? cannot tell", "skipped": "– not asked"}


@dataclass(frozen=True)
class Finding:
    """One cause, and what to do about it.

    `cause` is an id of `doctor.causes`; `sentence` says it of this case; `evidence` are (what was looked at, what was
    seen) pairs; `fix_call`, `fix_command` and `fix_console` are the fix in Python, in the shell and in the console, and
    `fix_words` what to do where none of them does it (each empty where there is none); `link` is a page.
    """

    cause: str
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()
    fix_call: str = ""
    fix_command: str = ""
    fix_console: str = ""
    link: str = ""
    fix_words: str = ""

    def fixes(self) -> list[tuple[str, str]]:
        """Return the fix as (where, how): in Python, in the shell, in the console, in words."""
        rows = [
            ("Python", self.fix_call),
            ("shell", self.fix_command),
            ("console", self.fix_console),
            ("in words", self.fix_words),
        ]
        return [(where, how) for where, how in rows if how]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can hold."""
        return {
            "cause": self.cause,
            "sentence": self.sentence,
            "evidence": [list(pair) for pair in self.evidence],
            "fix": {
                "call": self.fix_call,
                "command": self.fix_command,
                "console": self.fix_console,
                "words": self.fix_words,
            },
            "link": self.link,
        }

    def to_html(self) -> str:
        """Return it as a card."""
        terms = [(what, escape(said)) for what, said in self.evidence]
        terms += [
            (f"Fix ({where})", f'<code style="{_CODE}">{escape(how)}</code>') for where, how in self.fixes()
        ]
        page = (
            f'<p style="margin:6px 0 0"><a href="{escape(self.link)}">{escape(self.link)}</a></p>'
            if self.link
            else ""
        )
        return (
            f'<section style="border:{LINE};border-radius:4px;padding:8px 12px;margin:6px 0;max-width:60em;{TEXT}">'
            f"<strong>✕ {escape(self.sentence)}</strong>"
            f'<p style="margin:2px 0;{MUTED}">cause: {escape(self.cause)}</p>'
            f"{html_terms(terms)}{page}</section>"
        )

    def to_text(self) -> str:
        """Return it as plain text."""
        facts = [*self.evidence, *((f"fix ({where})", how) for where, how in self.fixes())]
        return text_card(f"✕ {self.sentence}", [("cause", self.cause), *facts, ("page", self.link)])


@dataclass(frozen=True)
class Probe:
    """One look: `state` is `ok`, `bad`, `unknown` or `skipped`; `saw` says what was seen, `ms` how long it took."""

    name: str
    state: str
    saw: str
    ms: float = 0.0

    @property
    def mark(self) -> str:
        """The state as a mark and words."""
        return _MARKS.get(self.state, self.state)


def found(
    cause_id: str,
    sentence: str = "",
    facts: Mapping[str, str] | None = None,
    evidence: Mapping[str, str] | None = None,
    *,
    call: str | None = None,
    command: str | None = None,
) -> Finding:
    """Return a finding of a known cause. `facts` fill in its fixes; `call` and `command` take their place."""
    known = cause(cause_id)
    seen = tuple((what, redact(said)) for what, said in (evidence or {}).items() if said)
    facts = facts or {}
    if call is None:
        call = known.call(facts)
    if call.startswith("rr.diagnose("):
        call = ""  # this is the diagnosis
    instance = facts.get("instance", "")
    if instance:
        call = _VM.sub(lambda _: f"cloud.instances[{instance!r}]", call)
    return Finding(
        known.id,
        redact(sentence or known.meaning),
        seen,
        call,
        known.command(facts) if command is None else command,
        known.fix_console,
        known.link,
        _OWN.sub(lambda _: f"cloud.instances[{instance!r}].", known.words) if instance else known.words,
    )


# Where a template says `vm`, this case's instance is meant; so a fix can be typed as it stands.
_OWN = re.compile(r"\bvm\.")
_VM = re.compile(r"^vm(?=\.)|(?<=using\()vm(?=\))")


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, from the outside in, and what was looked at.

    `findings` are the causes (the first one only, unless everything was asked for); `advice` is what does no harm to
    what was asked and is worth mending; `probes` are the looks in their order; `could_not_tell` says what stayed open.
    `ok`: no cause was found and nothing stayed open. `asked` says what was diagnosed.
    """

    findings: tuple[Finding, ...] = ()
    probes: tuple[Probe, ...] = ()
    could_not_tell: tuple[str, ...] = ()
    advice: tuple[Finding, ...] = ()
    asked: str = ""
    seconds: float = 0.0
    where: str = field(default="")

    @property
    def ok(self) -> bool:
        """Whether all is well, as far as was looked."""
        return not self.findings and not self.could_not_tell

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 a cause was found, 2 could not tell."""
        return 1 if self.findings else 2 if self.could_not_tell else 0

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.findings:
            more = len(self.findings) - 1
            return self.findings[0].sentence + (f" (and {more} more)" if more else "")
        if self.could_not_tell:
            return f"No cause found; could not tell: {'; '.join(self.could_not_tell)}."
        return "Nothing is wrong, as far as was looked."

    def _rows(self) -> list[list[str]]:
        return [
            [probe.name, probe.mark, probe.saw, f"{probe.ms:.0f} ms" if probe.ms else ""]
            for probe in self.probes
        ]

    def _head(self) -> str:
        about = " · ".join(part for part in (self.asked, self.where) if part)
        return f"Diagnosis of {about}" if about else "Diagnosis"

    def _repr_html_(self) -> str:
        cards = "".join(item.to_html() for item in self.findings)
        if not self.findings:
            mark = "?" if self.could_not_tell else "✓"
            cards = f"<p><strong>{mark} {escape(self.verdict)}</strong></p>"
        advice = "".join(
            f"<li>{escape(item.sentence)} <code>{escape(item.fix_command)}</code></li>"
            for item in self.advice
        )
        advised = (
            f'<p style="margin:6px 0 0">Worth mending</p><ul style="margin:0">{advice}</ul>' if advice else ""
        )
        looks = html_table(
            _HEAD, self._rows(), title="What was looked at, from the outside in", empty="nothing"
        )
        return (
            f'<div style="{TEXT}"><p style="{MUTED}">{escape(self._head())}</p>{cards}{advised}{looks}</div>'
        )

    def to_html(self) -> str:
        """Return it as HTML."""
        return self._repr_html_()

    def to_text(self) -> str:
        """Return it as plain text."""
        lines = [self._head(), *(item.to_text() for item in self.findings)]
        if not self.findings:
            lines.append(f"{'?' if self.could_not_tell else '✓'} {self.verdict}")
        lines += [f"worth mending: {item.sentence}  {item.fix_command}".rstrip() for item in self.advice]
        return "\n".join([*lines, "", text_table(_HEAD, self._rows(), widest=96)])

    __str__ = to_text
    __repr__ = to_text

    def to_markdown(self) -> str:
        """Return it as Markdown, for an issue or a chat."""
        lines = [f"**{_plain(self._head())}**", "", _plain(self.verdict), ""]
        for item in self.findings:
            lines += [f"- **{_plain(item.cause)}**: {_plain(item.sentence)}"]
            lines += [f"  - {_plain(what)}: {_plain(said)}" for what, said in item.evidence]
            for where, how in item.fixes():
                lines += [f"  - fix ({where}):", "", *(f"        {line}" for line in how.splitlines()), ""]
            lines += [f"  - <{item.link}>"] if item.link else []
        lines += [f"- worth mending: {_plain(item.sentence)}" for item in self.advice]
        lines += ["", "| looked at | state | seen | time |", "| --- | --- | --- | --- |"]
        return (
            "\n".join([*lines, *("| " + " | ".join(map(_plain, row)) + " |" for row in self._rows())]) + "\n"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary that JSON can hold."""
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "asked": self.asked,
            "where": self.where,
            "findings": [item.to_dict() for item in self.findings],
            "advice": [item.to_dict() for item in self.advice],
            "could_not_tell": list(self.could_not_tell),
            "probes": [{"name": p.name, "state": p.state, "saw": p.saw, "ms": p.ms} for p in self.probes],
            "seconds": self.seconds,
        }


_HEAD = ("looked at", "state", "seen", "time")
_PLAIN = str.maketrans({mark: "\\" + mark for mark in "\\`*_{}[]<>#|~!"} | {"\n": " "})


def _plain(text: str) -> str:
    """Return a text as Markdown shows it: nothing from outside becomes markup."""
    return text.translate(_PLAIN)
