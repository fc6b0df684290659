"""A lesson: the exercises of one notebook, its preparation and its progress."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from .._version import __version__
from ..cloud.calls import checking
from ..cloud.session import Cloud
from ..errors import InputError, nearest
from ..render import html_card, text_card
from .exercise import Exercise
from .progress import Progress
from .shipped import copy_beside
from .shown import CORRECT, Prepared, ProgressTable, signed
from .starting import Setup, guided_attachment, guided_role

__all__ = ["TITLES", "Lesson", "lesson"]

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "00": "Start here",
        "01": "Create a role",
        "02": "Attach it to an instance",
        "03": "Temporary credentials",
        "04": "Download an object",
        "05": "Switch identity, least privilege",
        "06": "Troubleshoot",
        "07": "Clean up",
    }
)

_MODULES = {
    "01": "n01_create_a_role",
    "02": "n02_attach",
    "03": "n03_credentials",
    "04": "n04_download",
    "05": "n05_switch_identity",
    "07": "n07_clean_up",
}

# What the guided paths of the earlier notebooks leave behind, which a notebook run alone needs.
_CATCH_UP: Mapping[str, Callable[[Setup], None]] = {
    "02": guided_role,
    "03": guided_attachment,
    "04": guided_attachment,
    "05": guided_attachment,
    "06": guided_attachment,
    "07": guided_attachment,
}


def lesson(cloud: Cloud, number: str | int, *, made_for: str = "") -> Lesson:
    """Return the lesson of a notebook, "00" to "07".

    `made_for`: the version of the package the notebook was written for; another one installed is said. Making a lesson
    makes no call. Raises InputError.
    """
    known = f"{number:02d}" if isinstance(number, int) and not isinstance(number, bool) else str(number)
    known = known if known in TITLES else known.zfill(2)
    if known not in TITLES:
        raise InputError(
            f"There is no lesson {number!r}.{nearest(str(number), TITLES)}",
            next_step=f"the lessons: {', '.join(f'{n} {title}' for n, title in TITLES.items())}",
        )
    return Lesson(cloud, known, made_for=made_for)


class Lesson:
    """The exercises of one notebook, by id in `exercises` and as attributes `q1`, `q2` and so on.

    `number`, `title`, and `version_note`: empty, or a sentence on a notebook made for another version.
    """

    def __init__(self, cloud: Cloud, number: str, *, made_for: str = "") -> None:
        self._cloud = cloud
        self.number = number
        self.title = TITLES[number]
        self.version_note = _version_note(number, made_for)
        context = cloud.context
        self._progress = Progress(
            lambda: context.ledger.path.parent,
            lambda: (context.ledger.mode, context.ledger.account_id, context.ledger.world),
        )
        self._by_name: dict[str, Exercise] = {}
        if number in _MODULES:
            module = importlib.import_module(f".{_MODULES[number]}", __package__)
            for at, kind in enumerate(module.EXERCISES, 1):
                self._by_name[f"q{at}"] = kind(cloud, number, f"q{at}", self._progress)

    @property
    def cloud(self) -> Cloud:
        """The session it looks at."""
        return self._cloud

    @property
    def exercises(self) -> Mapping[str, Exercise]:
        """The exercises by id (`01.q1`), in order."""
        return MappingProxyType({exercise.id: exercise for exercise in self._by_name.values()})

    def __getattr__(self, name: str) -> Exercise:
        found: dict[str, Exercise] = self.__dict__.get("_by_name", {})
        if name in found:
            return found[name]
        public = [*found, *(n for n in dir(type(self)) if not n.startswith("_"))]
        raise AttributeError(
            f"Lesson {self.__dict__.get('number', '')} has no {name!r}.{nearest(name, public)}"
        )

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._by_name])

    # -- doing ---------------------------------------------------------------------------------------------------

    def prepare(self, *, again: bool = False) -> Prepared:
        """Do what the earlier notebooks would have done, and set up where the exercises begin. May be run again.

        What the guided part needs is set up again wherever it is gone. Where an exercise begins is set up once: what was
        changed since is the learner's doing and stays so, and what was removed is told as missing; `again` sets up anew
        what is missing, and overwrites nothing. `cloud.reset()`, or a clean-up that leaves nothing, makes all of it begin
        anew. All of it is in the ledger, so `cloud.clean_up()` takes it away.
        In a live session each change is confirmed as always. Raises AccessDenied, PreflightRefused, ChangeNotConfirmed.
        """
        setup = Setup(self._cloud, self.number, self._progress, again=again)
        try:
            with checking():  # it is not what the learner did: the wire folds it away
                if self.number in _CATCH_UP:
                    _CATCH_UP[self.number](setup)
                for exercise in self._by_name.values():
                    exercise.start(setup)
        finally:
            told = setup.finish()  # also what was made before something failed
        return told

    def progress(self) -> ProgressTable:
        """Return how far each exercise is: the last verdict, when it was first correct, how many hints were seen."""
        rows = []
        for name, exercise in self._by_name.items():
            known = self._progress.exercise(self.number, name)
            last = signed(str(known["outcome"])) if known.get("outcome") else "not checked yet"
            first = str(known.get("first_correct", ""))
            rows.append(
                (
                    exercise.id,
                    exercise.title,
                    last,
                    f"{first} UTC" if first else "",
                    str(known.get("hints", 0)),
                )
            )
        return ProgressTable(f"{self.number} {self.title}", tuple(rows), self._progress.problem)

    def restart(self) -> None:
        """Forget the progress of this lesson; the world stays as it is."""
        self._progress.forget(self.number)

    def matching_copy(self, folder: str | os.PathLike[str] | None = None) -> Path:
        """Write the notebook that was shipped with the installed version as `NN_name.<version>.ipynb`, and return it.

        `folder`: default the current one. No file is overwritten. Raises InputError.
        """
        return copy_beside(self.number, __version__, Path(folder) if folder is not None else Path.cwd())

    # -- showing ---------------------------------------------------------------------------------------------------

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("where", self._cloud.label), ("version", self.version_note)]
        if self.number == "06":
            facts.append(("exercises", "the cases of the gym: rr.gym(cloud).cases()"))
        elif not self._by_name:
            facts.append(("exercises", "none in this one"))
        known = {name: self._progress.exercise(self.number, name) for name in self._by_name}
        solved = sum(1 for row in known.values() if row.get("first_correct"))
        if known:
            facts.append(("progress", f"{solved} of {len(known)} exercises have been solved"))
        for name, exercise in self._by_name.items():
            outcome = CORRECT if known[name].get("first_correct") else str(known[name].get("outcome", ""))
            facts.append((name, f"{exercise.title} ({signed(outcome) if outcome else 'not checked yet'})"))
        return [*facts, ("note", self._progress.problem)]

    def __repr__(self) -> str:
        return text_card(f"Lesson {self.number}: {self.title}", self._facts())

    def _repr_html_(self) -> str:
        return html_card(f"Lesson {self.number}: {self.title}", self._facts())


def _version_note(number: str, made_for: str) -> str:
    if made_for in ("", __version__):
        return ""
    return (
        f"This copy of the notebook was made for ramrole_nb {made_for}, and {__version__} is installed: "
        f"lesson.matching_copy() writes the matching notebook {number} beside it."
    )
