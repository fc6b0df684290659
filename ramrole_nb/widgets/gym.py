"""The gym panel: a broken world, what the program printed, and the buttons to find the cause. `rr.gym(cloud)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..errors import InputError, nearest
from ..jobs import Job
from ..training import Cases, Gym, gym
from .elements import CodeBlock
from .fields import choice, note, text_field
from .lesson import look_first
from .panel import Panel, fold, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..doctor.findings import Diagnosis
    from ..jobs import JobContext
    from ..lessons import Hint, Solution, Verdict
    from ..training import Case, Symptom

__all__ = ["GymPanel"]

_NOTHING = "No case is open: choose one and press Start, or press Surprise me."


@dataclass(frozen=True)
class _Picture:
    cases: Cases
    html: str = ""
    text: str = ""
    program: str = ""
    outcome: str = ""


class GymPanel(Panel):
    """Train on broken worlds.

    Parameters: `cloud` the session (a sandbox; live it says so), `case` the case chosen at first. In one line:
    `gym = rr.gym(cloud)`, then `case = gym.start(…)`, `case.check()`, `gym.stop()`.
    """

    TITLE = "Gym"

    def __init__(self, cloud: Cloud, case: str = "") -> None:
        self.gym: Gym = gym(cloud)
        self._first = case
        self._hints: list[Hint] = []
        self._may_do_it = False
        super().__init__(cloud)

    # -- controls ---------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        options = [(f"{number} {name}: {seen}", name) for number, name, seen, *_ in self.gym.cases()]
        names = [name for _, name in options]
        if self._first and self._first not in names:
            raise InputError(
                f"There is no case {self._first!r}.{nearest(self._first, names)}",
                next_step="rr.gym(cloud).cases() lists them",
            )
        self.chosen = choice("Case", options, self._first or names[0])
        self.double = widgets.Checkbox(
            value=False, description="Two faults at once", indent=False, layout={"width": "auto"}
        )
        self._score = widgets.HTML()
        self._symptom = widgets.HTML()
        self._script = CodeBlock(title="The program", code="")
        self._hinted = widgets.HTML()
        self.change = text_field("Change in the program", "", placeholder="key=folder/name.png", width="36em")
        self._open_only = [
            self.button("Try again", self.try_again),
            self.button("Check", self.check, main=True),
            self.button("Hint", self.hint),
            self.button("Ask the doctor", self.doctor),
            self.button("Show solution", self.solution),
            self.button("Do it for me", self.do_it),
            self.button("Give up", self.give_up),
        ]
        self._open_case = widgets.VBox(
            [
                self._symptom,
                fold("the program", self._script),
                row(self.change, self.button("Change it", self.set_parameter)),
                row(*self._open_only),
                self._hinted,
            ],
            layout=widgets.Layout(display="none", width="100%"),
        )
        return (
            self._score,
            row(self.chosen, self.double),
            row(self.button("Start", self.start, main=True), self.button("Surprise me", self.surprise),
                self.button("Stop", self.stop)),
            note("Stop, and each new start, put back what the case changed."),
            self._open_case,
        )  # fmt: skip

    # -- actions ----------------------------------------------------------------------------------------------

    def start(self) -> Job[Case]:
        """Break the world as the chosen case says: `gym.start(name, double=…)`."""
        return self._start(str(self.chosen.value))

    def surprise(self) -> Job[Case]:
        """Start a case that is not solved, at random: `gym.start(double=…)`."""
        return self._start(None)

    def _start(self, name: str | None) -> Job[Case]:
        double = bool(self.double.value)

        def work(_: JobContext) -> Case:
            self._hints, self._may_do_it = [], False
            return self.gym.start(name, double=double)

        return self.act("start a case", work, done=lambda case: (f"{case.title} is open", "info"), quiet=True)

    def stop(self) -> Job[None]:
        """Put the world back: `gym.stop()`."""

        def work(_: JobContext) -> None:
            self._hints = []
            self.gym.stop()

        return self.act("stop the case", work, done="the world is as it was before the case")

    def set_parameter(self) -> Job[Case]:
        """Change a parameter of the program: `case.set(name=value)`."""
        case = self._case()
        name, sign, value = self.change.value.partition("=")
        name, given = name.strip(), value.strip().strip("'\"")
        if not sign or not name:
            raise InputError(
                f"{self.change.value!r} is no parameter with a value.",
                next_step=f"write name=value; the names: {', '.join(case.program.parameters())}",
            )
        meant: Any = given
        if given in ("True", "False"):
            meant = given == "True"
        case.program.changed({name: meant})  # bad input: nothing is run
        return self.act(
            f"change {name}", lambda _: case.set(**{name: meant}), done=f"{name} is {given} now", quiet=True
        )

    def try_again(self) -> Job[Symptom]:
        """Run the user's program again: `case.try_again()`."""
        case = self._case()
        return self.act(
            "run the program",
            lambda _: case.try_again(),
            done=lambda seen: "the program works" if seen.ok else "the program still fails",
        )

    def check(self) -> Job[Verdict]:
        """Look whether it is mended: `case.check()`."""
        case = self._case()
        return self.act("check the case", lambda _: case.check(), done=_said)

    def hint(self) -> Job[Hint]:
        """Show the next hint: `case.hint()`."""
        case = self._case()

        def work(_: JobContext) -> Hint:
            found = case.hint()
            self._hints = [*(one for one in self._hints if one.number != found.number), found]
            return found

        return self.act(
            "a hint",
            work,
            done=lambda found: (f"hint {found.number} of {found.total} is above", "info"),
            quiet=True,
            keep=True,
        )

    def doctor(self) -> Job[Diagnosis]:
        """Ask the doctor: `case.doctor()`; with two faults, `case.doctor(full=True)`."""
        case = self._case()
        full = "+" in case.name

        def work(ctx: JobContext) -> Diagnosis:
            return case.doctor(full=full, progress=ctx.progress, cancel=lambda: ctx.cancelled)

        return self.act("ask the doctor", work, done=lambda found: found.verdict)

    def solution(self) -> Job[Solution]:
        """Show the code that mends it: `case.solution()`."""
        case = self._case()

        def work(_: JobContext) -> Solution:
            self._may_do_it = True
            return case.solution()

        return self.act("the solution", work, done="the solution is shown; nothing was done")

    def do_it(self) -> Job[Solution]:
        """Run the solution: `case.solution(apply=True)`. Who has not seen it is asked to look first, once."""
        case = self._case()
        if not self._may_do_it:
            self._may_do_it = True
            raise look_first()
        return self.act(
            "solve the case",
            lambda _: case.solution(apply=True),
            done=lambda found: _said(found.verdict) if found.verdict is not None else "shown",
        )

    def give_up(self) -> Job[Solution]:
        """Show the solution and put the world back: `case.give_up()`."""
        case = self._case()
        return self.act(
            "give up", lambda _: case.give_up(), done="the solution is shown, and the world is put back"
        )

    def _case(self) -> Case:
        if self.gym.case is None:
            raise InputError("No case is open.", next_step="choose one and press Start, or press Surprise me")
        return self.gym.case

    def _say(self, text: str, kind: str) -> None:
        undecided = text.startswith(("not yet", "not attempted", "cannot tell", "the program still"))
        super()._say(text, "info" if kind == "done" and undecided else kind)

    # -- what it shows ----------------------------------------------------------------------------------------

    def _read(self) -> _Picture:
        cases, case = self.gym.cases(), self.gym.case
        if case is None:
            return _Picture(cases)
        return _Picture(cases, case._repr_html_(), repr(case), repr(case.program), case.outcome())

    def _draw(self, picture: _Picture) -> None:
        self._score.value = f'<div class="rr-note">{escape(_score(picture.cases))}</div>'
        self._open_case.layout.display = "" if picture.html else "none"
        told = (
            f'<div class="rr-note">Last verdict: {escape(picture.outcome)}</div>' if picture.outcome else ""
        )
        self._symptom.value = picture.html + told if picture.html else ""
        self._script.code = picture.program
        self._hinted.value = self._hints_html()

    def _hints_html(self) -> str:
        items = "".join(f"<li>Hint {h.number} of {h.total}: {escape(h.text)}</li>" for h in self._hints)
        return f'<ul aria-label="hints seen">{items}</ul>' if items else ""

    def _body_html(self) -> str:
        picture: _Picture | None = self._picture
        if picture is None:
            return f"<p>{_NOTHING}</p>"
        code = f"<pre>{escape(picture.program)}</pre>" if picture.program else ""
        return f"<p>{escape(_score(picture.cases))}</p>{picture.html or f'<p>{_NOTHING}</p>'}{code}{self._hints_html()}"

    def _body_text(self) -> str:
        picture: _Picture | None = self._picture
        if picture is None:
            return _NOTHING
        hints = [f"Hint {h.number} of {h.total}: {h.text}" for h in self._hints]
        return "\n".join([_score(picture.cases), picture.text or _NOTHING, picture.program, *hints]).rstrip()


def _said(verdict: Verdict) -> str:
    return f"{verdict.outcome}: {verdict.message}"


def _score(cases: Cases) -> str:
    return f"{sum(1 for row in cases if row[4])} of {len(cases)} cases solved"
