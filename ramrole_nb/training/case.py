"""`gym(cloud)`: choose a broken world, read what the program printed, find the cause, mend it.

One case at a time in a world. What a case changed is noted in the progress file before it is changed, so that `stop()`
puts it back also from another kernel.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .. import policy
from ..cloud.session import Cloud
from ..doctor.diagnose import diagnose
from ..doctor.findings import Diagnosis
from ..errors import InputError, RamroleError, SandboxError, nearest
from ..lessons.progress import Progress
from ..lessons.shown import CORRECT, NOT_ATTEMPTED, NOT_YET, Hint, Solution, Verdict, cannot_tell, signed
from ..render import html_card, html_table, text_card, text_table
from .program import BUCKET, KEY, READER, Program, Ran
from .sheets import PAIRS, SHEETS, Sheet
from .world import World, as_user, with_own_wire

__all__ = ["Case", "Cases", "Gym", "Symptom", "gym"]

_NUMBER = "gym"  # its part of the progress file
_OPEN = "gym-open"
_LEVELS = {1: "easy", 2: "medium", 3: "hard"}
_LAST_HINT = "Ask the doctor looks at everything and names the cause (typed: case.doctor())."
_PICTURE = "the team's example picture (a PNG)"
_HELP = "Hint helps (typed: case.hint())"
_HEAD = ("number", "name", "what one sees", "difficulty", "solved")


def gym(cloud: Cloud) -> Gym:
    """Return the gym of a sandbox session. Nothing is changed by it. Raises SandboxError in a live session."""
    try:
        cloud.sandbox.faults()
    except SandboxError:
        raise SandboxError(
            "The gym breaks things, so it works in the sandbox only, never in a live account.",
            next_step="rr.gym(rr.connect())",
        ) from None
    return Gym(cloud)


@dataclass(frozen=True, repr=False)
class Symptom:
    """What the user's program printed, word for word, secrets masked; `program` is its script."""

    title: str
    words: str
    program: str
    ok: bool = False

    def _facts(self) -> list[tuple[str, str]]:
        return [("it worked" if self.ok else "it printed", self.words)]

    def __repr__(self) -> str:
        return text_card(self.title, self._facts())

    def _repr_html_(self) -> str:
        return html_card(self.title, self._facts())


@dataclass(frozen=True, repr=False)
class Cases:
    """The cases: rows of (number, name, what one sees, difficulty, solved). Never the cause."""

    rows: tuple[tuple[str, str, str, str, str], ...]
    note: str = ""

    def __iter__(self) -> Iterator[tuple[str, str, str, str, str]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return "\n".join(filter(None, [text_table(_HEAD, self.rows, widest=76), self.note]))

    def _repr_html_(self) -> str:
        solved = sum(1 for row in self.rows if row[4])
        return html_table(_HEAD, self.rows, title=f"Cases of the gym: {solved} of {len(self.rows)} solved")


class Gym:
    """The cases, and the one that is open in this world."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        context = cloud.context
        self._progress = Progress(
            lambda: context.ledger.path.parent,
            lambda: (context.ledger.mode, context.ledger.account_id, context.ledger.world),
        )
        self._case: Case | None = None

    @property
    def cloud(self) -> Cloud:
        """The session it plays in."""
        return self._cloud

    @property
    def case(self) -> Case | None:
        """The case that is open here, if there is one."""
        return self._case

    def cases(self) -> Cases:
        """Return the cases: number, name, what one sees, difficulty, solved or not; never the cause."""
        rows = []
        for number, sheet in enumerate(SHEETS, 1):
            known = self._progress.exercise(_NUMBER, sheet.name)
            solved = "✓ solved" if known.get("first_correct") else ""
            rows.append((str(number), sheet.name, sheet.symptom, _LEVELS[sheet.difficulty], solved))
        return Cases(tuple(rows), self._progress.problem)

    def start(
        self, name_or_number: str | int | None = None, *, double: bool = False, seed: int | None = None
    ) -> Case:
        """Break the world as a case says, run the user's program, and return the case.

        `name_or_number` None: one that is not solved, at random; `seed` makes that choice repeatable. `double`: two
        faults at once (a name: that case and one that goes with it). A case that is open is stopped first.
        Raises InputError.
        """
        sheets = self._chosen(name_or_number, double=double, seed=seed)
        self.stop()
        world = World(self._cloud)
        on = next((sheet.on for sheet in sheets if sheet.on), "")
        name = world.choose(on)
        world.borrow(name)
        world.undo["faults"] = [fault for sheet in sheets for fault in sheet.faults]
        if any(sheet.knows_bucket_policy for sheet in sheets):
            world.note_bucket_policy()
        self._note(world.undo)
        try:
            world.prepare()
            for sheet in sheets:
                if sheet.breaks is not None:
                    sheet.breaks(world)
            for fault in world.undo["faults"]:
                self._cloud.sandbox.fault(fault)
            program = Program(instance=name)
            for sheet in sheets:
                program = replace(program, **sheet.program)
            if program.does == "describe":
                program = replace(program, instance="")
            self._case = Case(self, self._progress, sheets, name, program)
        except BaseException:
            self.stop()
            raise
        return self._case

    def stop(self) -> None:
        """Put back what the open case changed, and nothing else. Nothing open: nothing to do."""
        self._case = None
        steps = self._progress.lesson(_OPEN)["prepared"]
        if not steps:
            return
        World(self._cloud, json.loads(str(steps[0]))).restore()
        self._progress.prepared(_OPEN, [], 0)

    def _note(self, undo: dict[str, Any]) -> None:
        self._progress.prepared(_OPEN, [json.dumps(undo)], 0)

    def _chosen(self, given: str | int | None, *, double: bool, seed: int | None) -> tuple[Sheet, ...]:
        pick = random.Random(seed)  # noqa: S311 - an exercise is chosen, no secret
        by_name = {sheet.name: sheet for sheet in SHEETS}
        if given is None:
            pool: list[tuple[Sheet, ...]] = [(sheet,) for sheet in SHEETS]
            if double:
                pool = [(by_name[one], by_name[two]) for one, two in PAIRS]
            left = [sheets for sheets in pool if not all(self._solved(sheet) for sheet in sheets)]
            return pick.choice(left or pool)
        sheet = self._named(given, by_name)
        if not double:
            return (sheet,)
        one, two = self.pair_of(sheet.name, seed)
        return (by_name[one], by_name[two])

    @staticmethod
    def pair_of(name: str, seed: int | None = None) -> tuple[str, str]:
        """Return the names of the two cases that `start(name, double=True, seed=seed)` begins. Raises InputError."""
        fitting = [pair for pair in PAIRS if name in pair]
        if not fitting:
            names = sorted({other for pair in PAIRS for other in pair})
            raise InputError(
                f"No second fault goes with {name}: one would hide the other.",
                next_step=f"start(double=True), or one of {', '.join(names)}",
            )
        return random.Random(seed).choice(fitting)  # noqa: S311 - no secret

    @staticmethod
    def _named(given: str | int, by_name: dict[str, Sheet]) -> Sheet:
        text = str(given).strip()
        if text.isdecimal() and 1 <= int(text) <= len(SHEETS) and not isinstance(given, bool):
            return SHEETS[int(text) - 1]
        if text not in by_name:
            raise InputError(
                f"There is no case {given!r}.{nearest(text, by_name)}",
                next_step=f"1 to {len(SHEETS)}, or a name: gym.cases()",
            )
        return by_name[text]

    def _solved(self, sheet: Sheet) -> bool:
        return bool(self._progress.exercise(_NUMBER, sheet.name).get("first_correct"))

    def _facts(self) -> list[tuple[str, str]]:
        solved = sum(self._solved(sheet) for sheet in SHEETS)
        return [
            ("where", self._cloud.label),
            ("cases", f"{len(SHEETS)}, {solved} of them solved"),
            ("open now", self._case.title if self._case else "none: gym.start()"),
        ]

    def __repr__(self) -> str:
        return text_card("The gym", self._facts())

    def _repr_html_(self) -> str:
        return html_card("The gym", self._facts())


class Case:
    """An open case: what the program printed, and what one can do about it. `program` is the script, `set()` changes it."""

    def __init__(
        self, owner: Gym, progress: Progress, sheets: tuple[Sheet, ...], instance: str, program: Program
    ) -> None:
        self._gym = owner
        self._progress = progress
        self._sheets = sheets
        self.instance = instance
        self._first = self._program = program
        self._first_run = self._last = self._run()

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name; of a double one both."""
        return "+".join(sheet.name for sheet in self._sheets)

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"Case {self.name}"

    @property
    def program(self) -> Program:
        """The user's program; shown, its script."""
        return self._program

    @property
    def symptom(self) -> Symptom:
        """What the program printed last."""
        return Symptom(self.title, self._last.words, self._program.text(), self._last.ok)

    @property
    def is_open(self) -> bool:
        """Whether the world is still broken by this case."""
        return self._gym.case is self

    # -- doing ----------------------------------------------------------------------------------------------------

    def set(self, **parameters: Any) -> Case:
        """Change parameters of the program, such as `endpoint`, `key`, `role`, `provider`. Raises InputError."""
        self._program = self._program.changed(parameters)
        return self

    def try_again(self) -> Symptom:
        """Run the user's program again, and return what it prints."""
        self._must_be_open()
        self._last = self._run()
        return self.symptom

    def check(self) -> Verdict:
        """Really do what the user wants, and say whether it works now. Any way that led there counts."""
        self._must_be_open()
        try:
            verdict = self._verdict()
        except RamroleError as error:
            verdict = cannot_tell(error, self.title)
        for sheet in self._sheets:
            self._progress.checked(_NUMBER, sheet.name, verdict.outcome, correct=bool(verdict))
        return verdict

    def _verdict(self) -> Verdict:
        wish = self._wish()
        if wish:
            return Verdict(
                NOT_YET, wish, (wish,), "Change it puts it right (typed: case.set(...))", self.title
            )
        if self._program.does == "attach" and self._attached():
            why = " ".join(sheet.why for sheet in self._sheets)
            return Verdict(CORRECT, f"{self._program.instance} has the role. {why}", (), "", self.title)
        self._last = self._run()
        if self._last.ok:
            why = " ".join(sheet.why for sheet in self._sheets)
            return Verdict(CORRECT, f"The program works: {self._last.words[:120]}. {why}", (), "", self.title)
        same = _kind(self._last.words) == _kind(self._first_run.words) and self._program == self._first
        words = _short(self._last.words)
        if same:
            return Verdict(
                NOT_ATTEMPTED,
                f"The program still fails as at the start: {words}",
                (),
                _HELP,
                self.title,
            )
        return Verdict(NOT_YET, f"The program fails: {words}", (words,), _HELP, self.title)

    def _wish(self) -> str:
        """Return why the program no longer does what the user wanted; empty: it does."""
        program = self._program
        if program.does == "attach" and program.role != READER and program != self._first:
            return f"The user wants the role {READER}, not {program.role}."
        if program.does in ("read", "list") and program != self._first:
            key = KEY if program.does == "read" else self._first.key
            fits = program.bucket == BUCKET and program.key == key
            tried = (program.bucket, program.key) != (self._first.bucket, self._first.key)
            if tried and not fits:
                wanted = _PICTURE if program.does == "read" else f"the list of {key}"
                return f"The user wants {wanted}, not oss://{program.bucket}/{program.key}."
        return ""

    def _attached(self) -> bool:
        return bool(as_user(self._gym.cloud).instances[self._program.instance].role_name == READER)

    def hint(self, n: int | None = None) -> Hint:
        """Return the next hint, or the `n`-th (from 1). The last one names the doctor."""
        texts = [text for sheet in self._sheets for text in sheet.hints] + [_LAST_HINT]
        progress = self._progress
        if n is None:
            seen = progress.exercise(_NUMBER, self.name).get("hints", 0)
            n = min((seen if isinstance(seen, int) else 0) + 1, len(texts))
        elif isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= len(texts):
            raise InputError(
                f"{self.title} has {len(texts)} hints, and none is number {n!r}.",
                next_step="hint() is the next one",
            )
        progress.hinted(_NUMBER, self.name, n)
        return Hint(texts[n - 1], n, len(texts), self.title)

    def doctor(
        self,
        *,
        full: bool = False,
        progress: Callable[[int, int, str], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Diagnosis:
        """Ask the doctor: `rr.diagnose` with what this program does. `full` goes on after the first cause."""
        self._must_be_open()
        cloud, program = with_own_wire(self._gym.cloud), self._program
        how: dict[str, Any] = {"full": full, "progress": progress, "cancel": cancel}
        if program.does == "describe":
            return diagnose(cloud=cloud, **how)
        if program.does == "attach":
            cloud = as_user(cloud, program.user)
            return diagnose(program.instance, None, cloud=cloud, role=program.role, **how)
        how |= {"role": program.role or None, "endpoint": program.endpoint, "signature": program.signature}
        if (provider := program.own_provider(cloud.context)) is not None:
            how["provider"] = provider
        return diagnose(program.instance, f"oss://{program.bucket}/{program.key}", cloud=cloud, **how)

    def solution(self, apply: bool = False) -> Solution:
        """Show the code that mends it; `apply` runs that code first, and adds the verdict on what it came to."""
        mends = "\n".join(sheet.mend for sheet in self._sheets)
        lines = [f"role = {READER!r}"] if re.search(r"\brole\b(?!=)", mends) else []
        lines += [f"vm = cloud.instances[{self.instance!r}]"] if re.search(r"\bvm\.", mends) else []
        code = "\n".join([*lines, mends])
        if not apply:
            return Solution(code, self.title)
        self._must_be_open()
        names = {"cloud": self._gym.cloud, "case": self, "policy": policy}
        exec(compile(code, "solution.py", "exec"), names)  # noqa: S102 - our own lines, as they are shown
        return Solution(code, self.title, self.check(), applied=True)

    def give_up(self) -> Solution:
        """Show the solution and stop the case: the world is put back."""
        found = self.solution()
        if self.is_open:
            self._gym.stop()
        return found

    def _run(self) -> Ran:
        return self._program.run(self._gym.cloud.context)

    def _must_be_open(self) -> None:
        if not self.is_open and self._gym.case is not None:
            raise InputError(
                f"{self.title} was stopped: another case is open.", next_step="gym.case is the open one"
            )
        if not self.is_open:
            raise InputError(
                f"{self.title} was stopped, and the world is put back.", next_step=f"gym.start({self.name!r})"
            )

    # -- showing --------------------------------------------------------------------------------------------------

    def _facts(self) -> list[tuple[str, str]]:
        # No more than gives nothing away: a bucket that is misspelt in the program is for the learner to find.
        place = f" from {BUCKET}" if self._first.bucket == BUCKET else ""
        story = {
            "read": f"A program on {self.instance} shall download {_PICTURE}{place}.",
            "list": f"A program on {self.instance} shall list what is in testfolder/ of {BUCKET}.",
            "attach": f"The user operator runs a program that gives an instance the role {READER}.",
            "describe": "The administrator runs a program that lists the instances.",
        }
        return [
            ("what is wanted", story[self._program.does]),
            ("it works now" if self._last.ok else "it printed", self._last.words),
            ("can be set", ", ".join(f"{k}={v!r}" for k, v in self._program.parameters().items())),
        ]

    def outcome(self) -> str:
        """Return the last verdict with its sign; empty: not checked yet."""
        known = [self._progress.exercise(_NUMBER, sheet.name).get("outcome", "") for sheet in self._sheets]
        return signed(str(known[0])) if known[0] else ""

    def __repr__(self) -> str:
        return text_card(self.title, self._facts())

    def _repr_html_(self) -> str:
        return html_card(self.title, self._facts())


def _short(words: str) -> str:
    return words if len(words) <= 400 else words[:400] + " …"


def _kind(words: str) -> str:
    """Return what makes two failures the same: the exception and the service's code, not ids and times."""
    code = re.search(r"'?(?:Code|EC)'?: '?([\w.\-]+)|code: (\d+)", words)
    return f"{words.partition(':')[0]} {code[0] if code else ''}"
