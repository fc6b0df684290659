"""One exercise: what an author writes, and what a learner calls.

To add one, write a class in the module of its notebook and name it in that module's `EXERCISES`:

    class PhotoReader(Exercise):
        title = "A role for instances"
        task = "Make a role photo-reader that ECS may assume."
        hints = ("A role says in its trust policy who may take it on.", "cloud.roles.create(name) trusts ECS.")
        praise = "ECS may assume photo-reader."

        def look(self, see: Look) -> None:
            role = see.role("photo-reader")
            if role is None:
                raise see.not_attempted("There is no role photo-reader yet.")
            if not role.trusts_ecs:
                raise see.not_yet("photo-reader exists, but ECS may not assume it.", next_step="look at its trust policy")

        def solve(self, cloud: Cloud) -> None:
            cloud.roles.create("photo-reader")

`look` returns where all holds, else raises `see.not_attempted(…)`, `see.not_yet(…)` or `see.cannot_tell(…)`. It may read
whatever `Look` offers and must not change anything. The body of `solve` is what a learner is shown, and what is run.
`start` (optional) sets up where the exercise begins, through `Setup`.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from ..cloud.session import Cloud
from ..errors import (
    CredentialsExpired,
    InputError,
    MetadataError,
    SandboxError,
    ServiceError,
)
from ..render import html_card, text_card
from .looking import Look, OnlyOnInstance, Stop
from .progress import Progress
from .shown import CORRECT, NOT_ATTEMPTED, Hint, Solution, Verdict, cannot_tell

if TYPE_CHECKING:
    from .starting import Setup

__all__ = ["Exercise"]

# What a service, or the way to it, may answer instead of the truth; anything else is a fault of the check itself.
_NO_ANSWER = (ServiceError, MetadataError, SandboxError, CredentialsExpired)
_NO_HINT = "Read the task again: it says all there is to say."


class Exercise(ABC):
    """One exercise of a lesson, bound to a session. Authors write subclasses: see this module's head."""

    title: ClassVar[str] = ""
    task: ClassVar[str] = ""
    hints: ClassVar[tuple[str, ...]] = ()
    praise: ClassVar[str] = "All of it holds."
    #: An instance whose own metadata service has to be asked; elsewhere than on it, live, nobody can.
    only_on: ClassVar[str] = ""
    #: What to run on the instance to find out, where neither the solution nor the check is it.
    try_there: ClassVar[str] = ""

    def __init__(self, cloud: Cloud, number: str, name: str, progress: Progress) -> None:
        self._cloud = cloud
        self._number = number
        self._name = name
        self._progress = progress

    # -- what an author writes -------------------------------------------------------------------------------------

    @abstractmethod
    def look(self, see: Look) -> str | None:
        """Look at the world; return where all holds (what to say then; None: `praise`), else raise by `see`."""

    @abstractmethod
    def solve(self, cloud: Cloud) -> None:
        """Solve it, from any state a learner may have left."""

    def start(self, setup: Setup) -> None:  # noqa: B027 - most exercises need nothing
        """Set up where the exercise begins (nothing, unless overridden)."""

    # -- what a learner calls --------------------------------------------------------------------------------------

    @property
    def cloud(self) -> Cloud:
        """The session it looks at."""
        return self._cloud

    @property
    def outcome(self) -> str:
        """The last check's outcome; empty: not checked yet."""
        return str(self._progress.exercise(self._number, self._name).get("outcome", ""))

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever progress is noted in this lesson (a check, a hint); return what ends that."""
        return self._progress.subscribe(changed)

    @property
    def id(self) -> str:
        """Such as `01.q1`."""
        return f"{self._number}.{self._name}"

    def check(self) -> Verdict:
        """Look at the world and say whether the task is done; nothing is changed.

        Whatever way led there counts. Where a service does not answer, or refuses, the verdict is `cannot tell`.
        """
        verdict = self._verdict()
        self._progress.checked(self._number, self._name, verdict.outcome, correct=bool(verdict))
        return verdict

    def _verdict(self) -> Verdict:
        see = Look(self._cloud)
        try:
            if self.only_on:
                see.must_reach(see.vm(self.only_on))
            told = self.look(see)
        except OnlyOnInstance as stop:
            return self._said(stop, on_instance=self._code_for_the_instance())
        except Stop as stop:
            return self._said(stop)
        except _NO_ANSWER as error:
            return cannot_tell(error, self._heading)
        return Verdict(CORRECT, told or self.praise, (), "", self._heading)

    def _said(self, stop: Stop, *, on_instance: str = "") -> Verdict:
        step = stop.next_step
        if stop.outcome == NOT_ATTEMPTED:
            step = step or "read the task, and try; Hint helps (typed: hint())"
        elif not bool(step):
            step = "Hint helps (typed: hint()), Show solution shows the way (solution())"
        return Verdict(stop.outcome, stop.message, stop.missing, step, self._heading, on_instance)

    def hint(self, n: int | None = None) -> Hint:
        """Return the next hint, or the `n`-th (from 1). After the last one, that one is told again."""
        texts = self.hints or (_NO_HINT,)
        if n is None:
            seen = self._progress.exercise(self._number, self._name).get("hints", 0)
            n = min((seen if isinstance(seen, int) else 0) + 1, len(texts))
        elif isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= len(texts):
            raise InputError(
                f"{self.id} has {len(texts)} hints, and none is number {n!r}.",
                next_step=f"hint() is the next one; hint(1) to hint({len(texts)}) one of them",
            )
        self._progress.hinted(self._number, self._name, n)
        return Hint(texts[n - 1], n, len(texts), self._heading)

    def solution(self, apply: bool = False) -> Solution:
        """Show the code that solves it; `apply` runs that code first, and adds the verdict on what it came to.

        In a live session each change is confirmed as always. Raises what the public functions in it raise.
        """
        code = self._code()
        if not apply:
            return Solution(code, self._heading)
        if self.only_on:
            see = Look(self._cloud)
            try:
                see.must_reach(see.vm(self.only_on))
            except Stop:
                return Solution(code, self._heading, self.check())
        self.solve(self._cloud)
        return Solution(code, self._heading, self.check(), applied=True)

    # -- showing ---------------------------------------------------------------------------------------------------

    @property
    def _heading(self) -> str:
        return f"{self.id} {self.title}"

    def _code(self) -> str:
        """Return the body of `solve`, so that what is shown is what is run."""
        body = self._body()
        return f"from ramrole_nb import policy\n\n{body}" if re.search(r"\bpolicy\.", body) else body

    def _body(self) -> str:
        source = textwrap.dedent(inspect.getsource(type(self).solve))
        return textwrap.dedent(source.split("\n", 1)[1]).rstrip()

    def _code_for_the_instance(self) -> str:
        """Return what a learner runs there: the solution where only the instance can do it, else the check itself."""
        check = f'rr.lesson(cloud, "{self._number}").{self._name}.check()'
        body = self.try_there or (self._body() if self.only_on else check)
        more = "from ramrole_nb import policy\n" if re.search(r"(?<!rr\.)\bpolicy\.", body) else ""
        return f'import ramrole_nb as rr\n{more}\ncloud = rr.connect("live")\n{body}'

    def _facts(self) -> list[tuple[str, str]]:
        known = self._progress.exercise(self._number, self._name)
        last = str(known.get("outcome", "")) or "not checked yet"
        return [
            ("task", self.task),
            ("last verdict", last),
            ("then", "Check · Hint · Show solution (typed: check() · hint() · solution())"),
        ]

    def __repr__(self) -> str:
        return text_card(f"Exercise {self._heading}", self._facts())

    def _repr_html_(self) -> str:
        return html_card(f"Exercise {self._heading}", self._facts())
