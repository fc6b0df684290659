"""Panels of the lessons: check, hint, solution. `lesson.q1.check()`, `.hint()`, `.solution()`; `lesson.prepare()`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as widgets

from ..errors import InputError
from ..jobs import Job
from ..lessons.shown import signed
from .fields import heading, note
from .panel import Panel, row

if TYPE_CHECKING:
    from ..lessons import Exercise, Hint, Lesson, Prepared, ProgressTable, Solution, Verdict

__all__ = ["ExercisePanel", "LessonPanel"]


@dataclass(frozen=True)
class _Known:
    """An exercise as it describes itself."""

    html: str
    text: str
    outcome: str = ""


class ExercisePanel(Panel):
    """Work on one exercise.

    Parameters: `exercise` one of a lesson, such as `rr.lesson(cloud, "01").q1`; `embedded` inside a panel that says where
    it works. In one line: `exercise.check()`, `exercise.hint()`, `exercise.solution()`, `exercise.solution(apply=True)`.
    """

    def __init__(self, exercise: Exercise, *, embedded: bool = False) -> None:
        self.exercise = exercise
        self._embedded = embedded
        self.TITLE = f"Exercise {exercise.id}"
        self._hints: list[Hint] = []
        self._may_do_it = False
        super().__init__(exercise.cloud)
        self._no_more = exercise.subscribe(self._weakly_told())

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self._known = widgets.HTML()
        self._hinted = widgets.HTML()
        self._check = self.button("Check", self.check, main=True)
        self._hint = self.button("Hint", self.hint)
        self._solution = self.button("Show solution", self.solution)
        self._do_it = self.button("Do it for me", self.do_it)
        self._do_it.layout.display = "none"
        return (
            heading(self.exercise.title),
            note(self.exercise.task),
            self._known,
            row(self._check, self._hint, self._solution, self._do_it),
            self._hinted,
        )

    # -- actions ---------------------------------------------------------------------------------------------

    def check(self) -> Job[Verdict]:
        """Look whether the task is done: `exercise.check()`."""
        return self.act(f"check {self.exercise.id}", lambda _: self.exercise.check(), done=_said)

    def hint(self) -> Job[Hint]:
        """Show the next hint: `exercise.hint()`."""

        def work(_: object) -> Hint:
            found = self.exercise.hint()
            self._hints = [*(one for one in self._hints if one.number != found.number), found]
            return found

        return self.act(
            f"a hint for {self.exercise.id}",
            work,
            done=lambda hint: (f"hint {hint.number} of {hint.total} is above", "info"),
            quiet=True,  # the hints stand together, above
            keep=True,  # what the check found missing
        )

    def solution(self) -> Job[Solution]:
        """Show the code that solves it: `exercise.solution()`."""

        def work(_: object) -> Solution:
            found = self.exercise.solution()
            self._may_do_it = True
            return found

        return self.act(
            f"the solution of {self.exercise.id}", work, done="the solution is shown; nothing was done"
        )

    def do_it(self) -> Job[Solution]:
        """Run the solution: `exercise.solution(apply=True)`. Who has not seen the solution is asked to look first, once."""
        if not self._may_do_it:
            self._may_do_it = True
            raise look_first()
        return self.act(
            f"solve {self.exercise.id}",
            lambda _: self.exercise.solution(apply=True),
            done=lambda solution: _said(solution.verdict) if solution.verdict is not None else "shown",
        )

    def close(self) -> None:
        self._no_more()
        super().close()

    def forget(self) -> None:
        """Put the panel back to its start; the exercise's progress is the lesson's (`lesson.restart()`)."""
        self._hints = []
        self._may_do_it = False
        self.model.result = self.model.error = None
        self._outcome.value = ""
        self._say("", "info")
        self.refresh()

    def _say(self, text: str, kind: str) -> None:
        # "Done" would say that the exercise is; what is done is the check.
        undecided = text.startswith(("not yet", "not attempted", "cannot tell"))
        super()._say(text, "info" if kind == "done" and undecided else kind)

    def _update_banner(self) -> None:
        super()._update_banner()
        if self._embedded:
            title = f'<strong class="rr-panel-title">{escape(self.TITLE)}</strong>'
            self._banner.value = f'<div class="rr-panel-head">{title}</div>'

    # -- what it shows ---------------------------------------------------------------------------------------

    def _read(self) -> _Known:
        return _Known(self.exercise._repr_html_(), repr(self.exercise), self.exercise.outcome)

    def _draw(self, picture: _Known) -> None:
        told = signed(picture.outcome) if picture.outcome else "not checked yet"
        self._known.value = f'<div class="rr-note">Last verdict: {escape(told)}</div>'
        last = self._hints[-1] if self._hints else None
        self._hinted.value = self._hints_html()
        self._hint.description = "Hint" if last is None else f"Hint ({last.number} of {last.total} seen)"
        self._do_it.layout.display = "" if self._may_do_it else "none"

    def _hints_html(self) -> str:
        if not self._hints:
            return ""
        items = "".join(
            f"<li>Hint {hint.number} of {hint.total}: {escape(hint.text)}</li>" for hint in self._hints
        )
        return f'<ul aria-label="hints seen">{items}</ul>'

    def _body_html(self) -> str:
        known = self._picture
        return (
            known.html if known is not None else f"<p>{escape(self.exercise.task)}</p>"
        ) + self._hints_html()

    def _body_text(self) -> str:
        known = self._picture
        hints = [f"Hint {hint.number} of {hint.total}: {hint.text}" for hint in self._hints]
        return "\n".join([known.text if known is not None else self.exercise.task, *hints])


class LessonPanel(Panel):
    """Work on the exercises of one notebook.

    Parameters: `lesson` such as `rr.lesson(cloud, "01")`. In one line: `lesson.prepare()`, `lesson.restart()`,
    `lesson.progress()`. `exercises` are the panels of its exercises.
    """

    FOLLOWS = True

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.TITLE = f"Lesson {lesson.number}: {lesson.title}"
        self.exercises = tuple(ExercisePanel(one, embedded=True) for one in lesson.exercises.values())
        super().__init__(lesson.cloud)
        for panel in self.exercises:
            panel.model.observe(lambda _: self.refresh(), names=["result"])
            panel.box.layout.margin = "8px 0 0"
        noted = (
            one.subscribe(self._weakly_told()) for one in list(lesson.exercises.values())[:1]
        )  # one file for all
        self._no_more = next(noted, lambda: None)
        # Below what this panel's own buttons come to, which else would stand far from them.
        self.box.children = (*self.box.children, *(panel.box for panel in self.exercises))

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self._score = widgets.HTML()
        self._prepare = self.button("Prepare", self.prepare, main=True)
        self._restart = self.button("Start over", self.start_over)
        version = [note(self.lesson.version_note)] if self.lesson.version_note else []
        return (*version, self._score, row(self._prepare, self._restart))

    # -- actions ---------------------------------------------------------------------------------------------

    def prepare(self) -> Job[Prepared]:
        """Set up where the exercises begin: `lesson.prepare()`."""
        return self.act(
            f"prepare lesson {self.lesson.number}", lambda _: self.lesson.prepare(), done=_prepared
        )

    def start_over(self) -> Job[Prepared]:
        """Forget the progress and set up anew: `lesson.restart()`, then `lesson.prepare()`. The world stays as it is."""

        def work(_: object) -> Prepared:
            self.lesson.restart()
            for panel in self.exercises:
                panel.forget()
            return self.lesson.prepare()

        return self.act(
            f"start lesson {self.lesson.number} over",
            work,
            done=lambda prepared: f"the progress is forgotten; {_prepared(prepared)}",
        )

    # -- what it shows ---------------------------------------------------------------------------------------

    def _read(self) -> ProgressTable:
        return self.lesson.progress()

    def _draw(self, picture: ProgressTable) -> None:
        self._score.value = f'<div class="rr-note">{escape(_score(picture))}</div>'

    def _body_html(self) -> str:
        table: ProgressTable | None = self._picture
        if table is None:
            return "<p>Not read yet.</p>"
        tasks = "".join(
            f"<li><strong>{escape(one.id)} {escape(one.title)}</strong>: {escape(one.task)}</li>"
            for one in self.lesson.exercises.values()
        )
        return f"<p>{escape(_score(table))}</p><ul>{tasks}</ul>{table._repr_html_()}"

    def _body_text(self) -> str:
        table: ProgressTable | None = self._picture
        if table is None:
            return "not read yet"
        tasks = [f"{one.id} {one.title}: {one.task}" for one in self.lesson.exercises.values()]
        return "\n".join([_score(table), *tasks, repr(table)])

    def wait(self, timeout: float | None = 60.0) -> Panel:
        """Wait until nothing runs, in the exercises too, and return the panel."""
        for panel in self.exercises:
            panel.wait(timeout)
        return super().wait(timeout)

    def close(self) -> None:
        self._no_more()
        for panel in self.exercises:
            panel.close()
        super().close()


def look_first() -> InputError:
    """Return what is said to who asks for the solution to be done without having looked at it."""
    return InputError(
        "You have not looked at the solution yet. Nothing was done.",
        next_step="read it first: Show solution; or ask once more, and it is done for you",
    )


def _said(verdict: Verdict) -> str:
    return f"{verdict.outcome}: {verdict.message}"


def _prepared(prepared: Prepared) -> str:
    told = [*prepared.done, *(f"missing: {text}" for text in prepared.missing)]
    return f"prepared: {'; '.join(told) or 'nothing had to be made'}"


def _score(table: ProgressTable) -> str:
    rows = list(table)
    if not rows:
        return "This lesson has no exercises."
    correct = sum(1 for line in rows if line[3])
    return f"{correct} of {len(rows)} correct" + (f". {table.note}" if table.note else "")
