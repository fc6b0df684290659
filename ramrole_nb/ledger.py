"""What this user created or set, on disk, so that cleaning up survives a crash.

The ledger is a file of JSON lines to which several processes append at once. An entry is written **before**
the call that creates something (`intend`), and again after it (`done`, `failed`), and again once it is
undone (`undone`); the last line of an id counts. An entry whose outcome nobody wrote down is still undone:
its `certain` is False, and what cleans up takes "not found" for an answer.

    entry = ledger.intend("role", "EcsRamRole")
    create_the_role()
    ledger.done(entry)
    ...
    for entry in plan(ledger.open_entries()):
        undo(entry)
        ledger.undone(entry)

No secret is written: names and details pass through `redact`. The file's mode is 0600.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import InputError, StateError
from .redact import redact

__all__ = ["KINDS", "Entry", "Ledger", "plan"]

# In the order in which they are undone: the services refuse to delete what is still attached, granted or not empty.
# Source: https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deleterole
KINDS = ("setting", "attachment", "grant", "policy", "role", "object", "bucket", "file")

INTENDED, DONE, FAILED, UNDONE = "intended", "done", "failed", "undone"

_COMPACT_ABOVE = 1000  # lines
_CUT = "is cut off"


@dataclass(frozen=True)
class Entry:
    """One thing this user created, or was about to.

    `kind` is one of `KINDS` (others are planned last); `name` what it is called; `details` what undoing it
    needs (the instance of an attachment, the bucket of an object, the former value of a setting); `mode`,
    `account_id` and `world` say where it is; `time` is UTC, ISO 8601; `state` is "intended", "done", "failed" or "undone".
    """

    id: str
    time: str
    kind: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
    mode: str = ""
    account_id: str = ""
    world: str = ""
    state: str = INTENDED

    @property
    def certain(self) -> bool:
        """Whether it is known to exist; False: the process ended between the call and its record."""
        return self.state == DONE

    @property
    def undone(self) -> bool:
        """Whether it was cleaned up."""
        return self.state == UNDONE

    @property
    def open(self) -> bool:
        """Whether there may be something to clean up."""
        return self.state in {INTENDED, DONE}

    def to_line(self) -> str:
        """Return the JSON line for the file, newline included."""
        row = {
            "id": self.id,
            "time": self.time,
            "kind": self.kind,
            "name": self.name,
            "details": dict(self.details),
            "mode": self.mode,
            "account_id": self.account_id,
            "world": self.world,
            "state": self.state,
            "undone": self.undone,
        }
        return json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n"


def plan(entries: Iterable[Entry]) -> list[Entry]:
    """Return the open entries in the order in which to undo them.

    Settings (as they were), attachments (detach), grants (detach the policy), policies, roles, objects, buckets, files,
    anything else; within a kind the newest first.
    """
    rank = {kind: at for at, kind in enumerate(KINDS)}
    left = [entry for entry in entries if entry.open]
    left.reverse()
    return sorted(left, key=lambda entry: rank.get(entry.kind, len(KINDS)))


class Ledger:
    """The ledger in one file. Threads and processes may share it.

    Parameters: `path` the file, or an existing folder (then `ledger.jsonl` in it); `mode`, `account_id` and
    `world` are written into each new entry and choose what `open_entries` returns; they may be set later, as
    attributes. Methods raise StateError where the file cannot be read or written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, mode: str = "", account_id: str = "", world: str = ""
    ) -> None:
        given = Path(path)
        self.path = given / "ledger.jsonl" if given.is_dir() else given
        self.mode = mode
        self.account_id = account_id
        self.world = world
        self._problems: tuple[str, ...] = ()
        self._check_above = 100_000  # bytes: fewer cannot be a thousand lines
        self._threads = threading.Lock()

    # ---- writing

    def intend(self, kind: str, name: str, /, **details: Any) -> Entry:
        """Write down that `name` is about to be created, and return its entry. Call this before the call.

        `details` are what undoing needs: JSON values; anything else is kept as its text.
        """
        return self._append(self._intended(kind, name, details))

    def intend_many(self, kind: str, names: Iterable[str], /, **details: Any) -> list[Entry]:
        """Do the same for several things with the same details, in one writing: the disk is waited for once."""
        return self._append_all([self._intended(kind, name, details) for name in names])

    def _intended(self, kind: str, name: str, details: Mapping[str, Any]) -> Entry:
        if not kind or not name:
            raise InputError("A ledger entry needs a kind and a name.")
        return Entry(
            id=secrets.token_hex(8),
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            kind=kind,
            name=redact(name),
            details={key: _clean(key, value) for key, value in details.items()},
            mode=self.mode,
            account_id=self.account_id,
            world=self.world,
        )

    def done(self, entry: Entry, /, **details: Any) -> Entry:
        """Write down that it was created; `details` add what only the answer told (an id, a version)."""
        more = {key: _clean(key, value) for key, value in details.items()}
        return self._append(replace(entry, state=DONE, details={**entry.details, **more}))

    def failed(self, entry: Entry, /) -> Entry:
        """Write down that it was not created, since the service refused. No answer is no refusal."""
        return self._append(replace(entry, state=FAILED))

    def undone(self, entry: Entry, /) -> Entry:
        """Write down that it was cleaned up, or is gone."""
        return self._append(replace(entry, state=UNDONE))

    def settle(
        self, *, done: Iterable[Entry] = (), failed: Iterable[Entry] = (), undone: Iterable[Entry] = ()
    ) -> None:
        """Write down of several entries what `done`, `failed` and `undone` do of one, in one writing."""
        told = {DONE: done, FAILED: failed, UNDONE: undone}
        self._append_all([replace(entry, state=state) for state, some in told.items() for entry in some])

    def compact(self) -> int:
        """Rewrite the file with the open entries only, and return how many lines went.

        Unreadable lines are moved to `<file>.unreadable`, not dropped.
        """
        with self._locked():
            return self._compact()

    # ---- reading

    def entries(self) -> list[Entry]:
        """Return every entry in the order of creation, in its last state; refresh `problems`."""
        with self._locked(shared=True):
            data = self._read()
        found, broken, lines = _parse(data)
        self._problems = tuple(_problem(self.path, number, lines, why) for number, _, why in broken)
        return found

    def open_entries(
        self, *, mode: str | None = None, account_id: str | None = None, world: str | None = None
    ) -> list[Entry]:
        """Return what may still be there, oldest first, in one mode, account and world (default: the ledger's own)."""
        here = (
            self.mode if mode is None else mode,
            self.account_id if account_id is None else account_id,
            self.world if world is None else world,
        )
        return [e for e in self.entries() if e.open and (e.mode, e.account_id, e.world) == here]

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read of the file at the last reading, in words, one a line."""
        return self._problems

    # ---- the file

    def _append(self, entry: Entry) -> Entry:
        return self._append_all([entry])[0]

    def _append_all(self, entries: list[Entry]) -> list[Entry]:
        """Write a line for each, all of them or none. No entries: nothing is written."""
        if not entries:
            return entries
        line = "".join(entry.to_line() for entry in entries).encode()
        with self._locked(), _as_state_error(self.path):
            fd = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                now = os.fstat(fd)
                size = now.st_size
                if now.st_mode & 0o077 and hasattr(os, "fchmod"):
                    os.fchmod(fd, 0o600)
                # A process that died while it wrote left half a line: it must not swallow this one.
                whole = size == 0 or _last_byte(fd, size) == b"\n"
                try:
                    _write_all(fd, line if whole else b"\n" + line)
                    os.fsync(fd)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(fd, size)  # a full disk: leave no half line either
                    raise
                end = os.fstat(fd).st_size
            finally:
                os.close(fd)
            if size == 0:
                _sync_folder(self.path.parent)
            if end > self._check_above:
                if self._read().count(b"\n") > _COMPACT_ABOVE:
                    self._compact()
                self._check_above = self.path.stat().st_size + 100_000
        return entries

    def _open(self, flags: int, path: Path | None = None) -> int:
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        return os.open(path or self.path, flags, 0o600)

    def _read(self) -> bytes:
        with _as_state_error(self.path):
            try:
                return self.path.read_bytes()
            except FileNotFoundError:
                return b""

    def _compact(self) -> int:
        data = self._read()
        found, broken, lines = _parse(data)
        with _as_state_error(self.path):
            if broken:
                aside = self._open(os.O_WRONLY | os.O_APPEND | os.O_CREAT, _beside(self.path, ".unreadable"))
                try:
                    _write_all(aside, b"".join(raw + b"\n" for _, raw, _ in broken))
                    os.fsync(aside)
                finally:
                    os.close(aside)
            kept = "".join(entry.to_line() for entry in found if entry.open).encode()
            fresh = _beside(self.path, ".compacting")
            fd = self._open(os.O_WRONLY | os.O_CREAT | os.O_TRUNC, fresh)
            try:
                _write_all(fd, kept)
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.replace(self.path)
            _sync_folder(self.path.parent)
        return lines - kept.count(b"\n")

    @contextmanager
    def _locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock of the ledger, which is a file beside it: the ledger itself is replaced when compacted."""
        with self._threads:
            if shared and not self.path.exists():
                yield  # nothing to read; reading must not make files
                return
            with _as_state_error(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    fd = self._open(os.O_RDWR | os.O_CREAT, _beside(self.path, ".lock"))
                except PermissionError:
                    if not shared:
                        raise
                    fd = -1  # a folder one may only read
                if fd >= 0:
                    _lock(fd, shared=shared)
            try:
                yield
            finally:
                if fd >= 0:
                    _unlock(fd)
                    os.close(fd)


def _parse(data: bytes) -> tuple[list[Entry], list[tuple[int, bytes, str]], int]:
    """Return the entries, the unreadable lines as (line number, bytes, why), and the number of lines."""
    lines = data.split(b"\n")
    cut = bool(lines[-1])  # the last line has no newline: whoever wrote it may have died
    if not cut:
        lines.pop()
    found: dict[str, Entry] = {}
    broken: list[tuple[int, bytes, str]] = []
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
            entry = Entry(
                id=_text(row, "id"),
                time=_text(row, "time"),
                kind=_text(row, "kind"),
                name=_text(row, "name"),
                details=dict(row.get("details") or {}),
                mode=str(row.get("mode", "")),
                account_id=str(row.get("account_id", "")),
                world=str(row.get("world", "")),
                state=_text(row, "state"),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            why = _CUT if cut and number == len(lines) else "is not an entry"
            broken.append((number, raw, why))
            continue
        found[entry.id] = entry
    return list(found.values()), broken, len(lines)


def _text(row: Any, key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value:
        raise ValueError(key)
    return value


def _problem(path: Path, number: int, lines: int, why: str) -> str:
    told = f"{path}: line {number} of {lines} {why}. It is kept, and the other lines are read."
    if why == _CUT:
        # Its `intend` had not returned, so the call was not made; and of any other line the one before it counts.
        told += " A process ended while it wrote; nothing to clean up is lost by that."
    return told


def _clean(key: str, value: Any) -> Any:
    """Return `value` as a JSON value without secrets; `key` counts too, since `secret=…` is one by its name."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(k): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, item) for item in value]
    named = redact(f"{key}={value}")
    return named.removeprefix(f"{key}=") if named.startswith(f"{key}=") else redact(value)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _last_byte(fd: int, size: int) -> bytes:
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _as_state_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as failed:
        raise StateError(
            f"The ledger {path} cannot be used: {failed.strerror or failed}.",
            reason="without it, what is created now would not be found again for cleaning up",
            next_step="Make the folder writable, or choose another state folder (RAMROLE_STATE).",
        ) from failed


try:
    import fcntl
except ImportError:  # Windows

    def _lock(fd: int, *, shared: bool) -> None:  # noqa: ARG001 (there is no shared lock)
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def _unlock(fd: int) -> None:
        import msvcrt

        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]

else:

    def _lock(fd: int, *, shared: bool) -> None:
        # Some network file systems have no locks; appending in one write is then what is left.
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def _unlock(fd: int) -> None:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
