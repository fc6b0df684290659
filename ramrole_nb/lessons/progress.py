"""How far a learner is, in a small file beside the ledger: several notebooks and terminals may write it at once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import RamroleError
from ..locks import locked

__all__ = ["FILE_NAME", "Progress"]

FILE_NAME = "progress.json"
_VERSION = 1
# Seconds to wait for another writer, which holds the file for milliseconds.
_WAIT = 5.0


class Progress:
    """The progress file, and in it the part of one place: a mode, an account and a world.

    `place` is asked at each use, since a reset may change the world. A file that is not ours is set aside under another
    name and said in `problem`; so is one that cannot be written. Nothing here raises because of the file.
    """

    def __init__(self, folder: Callable[[], Path], place: Callable[[], tuple[str, str, str]]) -> None:
        self._folder = folder
        self._place = place
        self.problem = ""
        self._watchers: list[Callable[[], None]] = []

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each change made through this object; return what ends that."""
        self._watchers.append(changed)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._watchers.remove(changed)

        return end

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder() / FILE_NAME

    # -- reading -----------------------------------------------------------------------------------------------

    def lesson(self, number: str) -> dict[str, Any]:
        """Return what is known of a lesson: `exercises` and `prepared` (a copy)."""
        try:
            return _lesson_of(self._here(self._read()), number)
        except RamroleError as error:  # live: the account is not known before the first call
            self.problem = f"Progress is not known: {error.what}"
            return _lesson_of({}, number)

    def exercise(self, number: str, name: str) -> dict[str, Any]:
        """Return what is known of an exercise: `outcome`, `checks`, `hints`, `first_correct` (a copy)."""
        found = self.lesson(number)["exercises"].get(name)
        return found if isinstance(found, dict) else {}

    # -- writing -----------------------------------------------------------------------------------------------

    def checked(self, number: str, name: str, outcome: str, *, correct: bool) -> None:
        """Note a verdict."""

        def note(lesson: dict[str, Any]) -> None:
            row = _row(lesson, name)
            row["outcome"], row["checks"] = outcome, _count(row, "checks") + 1
            if correct:
                row.setdefault("first_correct", datetime.now(UTC).strftime("%Y-%m-%d %H:%M"))

        self._change(number, note)

    def hinted(self, number: str, name: str, shown: int) -> None:
        """Note that hints up to `shown` were seen."""

        def note(lesson: dict[str, Any]) -> None:
            row = _row(lesson, name)
            row["hints"] = max(_count(row, "hints"), shown)

        self._change(number, note)

    def prepared(self, number: str, steps: list[str], mark: int) -> None:
        """Note which steps have been set up, and the mark of the world they were set up in."""

        def note(lesson: dict[str, Any]) -> None:
            lesson["prepared"], lesson["mark"] = steps, mark

        self._change(number, note)

    def forget(self, number: str) -> None:
        """Forget a lesson's progress."""

        def note(lesson: dict[str, Any]) -> None:
            lesson.clear()

        self._change(number, note)

    # -- the file ----------------------------------------------------------------------------------------------

    def _here(self, found: dict[str, Any]) -> dict[str, Any]:
        places = found.setdefault("places", {})
        if not isinstance(places, dict):
            places = found["places"] = {}
        key = " ".join(part or "-" for part in self._place())
        if not isinstance(places.get(key), dict):
            places[key] = {}
        here: dict[str, Any] = places[key]
        return here

    def _read(self) -> dict[str, Any]:
        path = self.path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            text = ""
        except OSError as error:
            self.problem = f"{path} cannot be read ({error.strerror}): progress is not known."
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        self._set_aside(path)
        return {}

    def _set_aside(self, path: Path) -> None:
        for number in range(1, 1000):
            aside = path.with_name(f"{path.name}.unreadable-{number}")
            try:
                os.link(path, aside)  # unlike a rename, it never replaces an older one
                path.unlink()
            except FileExistsError:
                continue
            except FileNotFoundError:
                return  # another process has just set it aside
            except OSError:
                path.replace(aside)  # a file system without hard links
            self.problem = (
                f"The progress file could not be read. It is kept as {aside.name}, and progress begins anew."
            )
            return

    def _change(self, number: str, note: Callable[[dict[str, Any]], None]) -> None:
        try:
            path = self.path
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(path.with_name(path.name + ".lock"), wait=_WAIT) as held:
                if not held:
                    self.problem = f"{path} was held by another program: the last step is not noted."
                    return
                found = self._read()
                here = self._here(found)
                lesson = _lesson_of(here, number)
                note(lesson)
                here.setdefault("lessons", {})[number] = lesson
                _write(path, {"version": _VERSION, **found})
        except RamroleError as error:
            self.problem = f"Progress is not noted: {error.what}"
        except OSError as error:
            self.problem = f"Progress cannot be written ({error.strerror}): the last step is not noted."
        for changed in list(self._watchers):
            changed()


def _lesson_of(here: dict[str, Any], number: str) -> dict[str, Any]:
    lessons = here.get("lessons")
    if not isinstance(lessons, dict):
        lessons = here["lessons"] = {}
    lesson = lessons.get(number)
    if not isinstance(lesson, dict):
        lesson = {}
    if not isinstance(lesson.get("exercises"), dict):
        lesson["exercises"] = {}
    if not isinstance(lesson.get("prepared"), list):
        lesson["prepared"] = []
    return lesson


def _row(lesson: dict[str, Any], name: str) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = lesson["exercises"]
    if not isinstance(rows.get(name), dict):
        rows[name] = {}
    return rows[name]


def _count(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0


def _write(path: Path, found: dict[str, Any]) -> None:
    """Write the file whole or not at all; called under the lock, so one name for the new one is enough."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
