"""What a lesson answers with: verdicts, hints, solutions, what was prepared, progress. Each as HTML and as plain text.

Words and signs carry the meaning, never colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ..errors import RamroleError, ServiceError
from ..render import html_card, html_table, text_card, text_table

__all__ = [
    "CANNOT_TELL",
    "CORRECT",
    "NOT_ATTEMPTED",
    "NOT_YET",
    "OUTCOMES",
    "Hint",
    "Prepared",
    "ProgressTable",
    "Solution",
    "Verdict",
    "cannot_tell",
    "sentence",
    "signed",
]

CORRECT, NOT_YET, NOT_ATTEMPTED, CANNOT_TELL = "correct", "not yet", "not attempted", "cannot tell"
OUTCOMES = (CORRECT, NOT_YET, NOT_ATTEMPTED, CANNOT_TELL)
_SIGNS = {CORRECT: "✓", NOT_YET: "✕", NOT_ATTEMPTED: "○", CANNOT_TELL: "?"}

_RUN_THERE = "Run this on the instance"
_PRE = (
    "margin:6px 0 0;padding:6px 8px;white-space:pre-wrap;overflow-wrap:anywhere;"
    "border:1px solid var(--jp-border-color2,#bdbdbd)"
)


def signed(outcome: str) -> str:
    """Return an outcome with its sign, such as `✓ correct`."""
    return f"{_SIGNS.get(outcome, '')} {outcome}".strip()


def _html_code(title: str, code: str) -> str:
    if not code:
        return ""
    return f'<p style="margin:6px 0 0"><strong>{escape(title)}</strong></p><pre style="{_PRE}">{escape(code)}</pre>'


def _text_code(title: str, code: str) -> str:
    if not code:
        return ""
    return "\n".join(["", f"{title}:", *(f"    {line}".rstrip() for line in code.splitlines())])


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found; true only if it is correct.

    `outcome` is one of `OUTCOMES`; `missing` names what does not hold yet, one thing each; `on_instance` is code to run
    on the instance, where only that can tell (else empty); `request_id` is that of a service that failed (else empty).
    """

    outcome: str
    message: str
    missing: tuple[str, ...] = ()
    next_step: str = ""
    exercise: str = ""
    on_instance: str = ""
    request_id: str = ""

    def __bool__(self) -> bool:
        return self.outcome == CORRECT

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("found", self.message)]
        facts += [("missing", text) for text in self.missing]
        return [*facts, ("next step", self.next_step), ("request id", self.request_id)]

    def _title(self) -> str:
        return signed(self.outcome) + (f": {self.exercise}" if self.exercise else "")

    def __repr__(self) -> str:
        return text_card(self._title(), self._facts()) + _text_code(_RUN_THERE, self.on_instance)

    def _repr_html_(self) -> str:
        return html_card(self._title(), self._facts()) + _html_code(_RUN_THERE, self.on_instance)


def cannot_tell(error: RamroleError, exercise: str) -> Verdict:
    """Return the verdict where a service does not answer, or refuses."""
    why = f"It could not be found out: {error.what} {error.reason}".strip()
    step = error.next_step or "try again in a moment"
    request_id = error.request_id if isinstance(error, ServiceError) else ""
    return Verdict(CANNOT_TELL, why, (), step, exercise, request_id=request_id)


@dataclass(frozen=True, repr=False)
class Hint:
    """One hint: the `number`-th of `total`."""

    text: str
    number: int
    total: int
    exercise: str = ""

    @property
    def left(self) -> int:
        """How many hints come after this one."""
        return self.total - self.number

    def _note(self) -> str:
        if not self.left:
            return "This was the last hint. Still stuck? Show solution shows the code (typed: solution())."
        return f"{self.left} more: Hint shows the next one (typed: hint())."

    def _title(self) -> str:
        return f"Hint {self.number} of {self.total}" + (f": {self.exercise}" if self.exercise else "")

    def __repr__(self) -> str:
        return text_card(self._title(), [("hint", self.text)], note=self._note())

    def _repr_html_(self) -> str:
        return html_card(self._title(), [("hint", self.text)], note=self._note())


@dataclass(frozen=True, repr=False)
class Solution:
    """The code that solves an exercise; where it was asked for, with the verdict after it was `applied`."""

    code: str
    exercise: str = ""
    verdict: Verdict | None = None
    applied: bool = False

    def __bool__(self) -> bool:
        return bool(self.verdict)

    def _note(self) -> str:
        if self.verdict is None:
            return "Only shown. Do it for me runs it (typed: solution(apply=True))."
        return "Done, and checked:" if self.applied else "Not done: it cannot be done from here."

    def __repr__(self) -> str:
        text = text_card(f"Solution: {self.exercise}", [], note=self._note()) + _text_code("Code", self.code)
        return text if self.verdict is None else f"{text}\n\n{self.verdict!r}"

    def _repr_html_(self) -> str:
        card = html_card(f"Solution: {self.exercise}", [], note=self._note()) + _html_code("Code", self.code)
        return card if self.verdict is None else card + self.verdict._repr_html_()


@dataclass(frozen=True, repr=False)
class Prepared:
    """What `prepare()` did, a sentence each; `changed` tells whether it changed anything.

    `left` was there already; in the place of `kept` is something of the learner's; `missing` was removed since it was set
    up; `skipped` could not be made.
    """

    lesson: str
    done: tuple[str, ...]
    left: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was made."""
        return bool(self.done)

    def _rows(self) -> list[list[str]]:
        rows = [["done ✓", text] for text in self.done]
        rows += [["was there", text] for text in self.left]
        rows += [["left as it is", text] for text in self.kept]
        rows += [["missing", text] for text in self.missing]
        return rows + [["left out", text] for text in self.skipped]

    def __repr__(self) -> str:
        head = f"Lesson {self.lesson} is prepared."
        table = text_table(["what", "which"], self._rows(), widest=100)
        return f"{head}\n{table}" if table else f"{head} It needs nothing."

    def _repr_html_(self) -> str:
        return html_table(
            ["what", "which"],
            self._rows(),
            title=f"Lesson {self.lesson} is prepared",
            empty="It needs nothing.",
        )


_PROGRESS_HEAD = ("exercise", "title", "last verdict", "first correct", "hints seen")


@dataclass(frozen=True, repr=False)
class ProgressTable:
    """How far the exercises of a lesson are: rows of (exercise, title, last verdict, first correct, hints seen)."""

    lesson: str
    rows: tuple[tuple[str, str, str, str, str], ...]
    note: str = ""

    def __iter__(self) -> Iterator[tuple[str, str, str, str, str]]:
        return iter(self.rows)

    def _empty(self) -> str:
        return "This lesson has no exercises."

    def __repr__(self) -> str:
        table = text_table(_PROGRESS_HEAD, self.rows) or self._empty()
        return "\n".join(filter(None, [table, self.note]))

    def _repr_html_(self) -> str:
        table = html_table(_PROGRESS_HEAD, self.rows, title=f"Progress in {self.lesson}", empty=self._empty())
        return table + (f"<p>{escape(self.note)}</p>" if self.note else "")


def sentence(parts: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
