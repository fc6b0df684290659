"""The journal: every request, who made it, what it asked for, what was decided and why. Secrets are masked.

Kept as JSON lines in the state folder, so terminals can follow it and a `kill -9` keeps it.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Journal", "cut", "masked"]

_KEEP = 5_000  # entries held in memory for look-ups
_ROTATE_BYTES = 32 * 1024 * 1024
_KEEP_DOCUMENTS = 256  # policies that decided, newest used; a policy has at most 6,144 characters

# A request line may have 128 KiB, and a batch a thousand decisions; 5,000 such entries would fill the memory.
_LONGEST_TEXT = 4_000
_MOST_ITEMS = 100

# Header and parameter values that are, or contain, secrets. Shown masked, name kept.
_SECRET_NAMES = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "security-token",
        "securitytoken",
        "signature",
        "x-acs-security-token",
        "x-aliyun-ecs-metadata-token",
        "x-oss-security-token",
        "x-oss-signature",
        "x-sandbox-token",
    ]
)


class Journal:
    """Append-only list of entries with a growing `seq`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self._entries: collections.deque[dict[str, Any]] = collections.deque(maxlen=_KEEP)
        self._by_request: dict[str, dict[str, Any]] = {}
        self._documents: collections.OrderedDict[str, str] = collections.OrderedDict()
        last = self._read_tail()
        self._seq = itertools.count(last + 1)
        self._file = self._open()

    def _open(self) -> TextIO:
        # Held open for the run. A line that a killed run left unfinished is ended, or it would spoil the next one.
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                file.write(b"\n")
        return open(self.path, "a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def _read_tail(self) -> int:
        last = 0
        if self.path.exists():
            with open(self.path, encoding="utf-8", errors="replace") as lines:
                for line in collections.deque(lines, maxlen=_KEEP):
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue  # the last line of a killed run
                    last = max(last, int(entry.get("seq", 0)))
                    self._remember(entry)
        return last

    def _remember(self, entry: dict[str, Any]) -> None:
        if len(self._entries) == _KEEP:
            self._by_request.pop(self._entries[0].get("request_id", ""), None)
        self._entries.append(entry)
        self._by_request[entry.get("request_id", "")] = entry

    def add(self, entry: dict[str, Any], documents: Mapping[str, str] | None = None) -> None:
        """Append one entry; `seq` and `time` are added. `documents`: the policies its decisions name, by digest."""
        for digest, text in (documents or {}).items():
            self._documents[digest] = text
            self._documents.move_to_end(digest)
            if len(self._documents) > _KEEP_DOCUMENTS:
                self._documents.popitem(last=False)
        entry = {"seq": next(self._seq), "time": _stamp(), **entry}
        self._remember(entry)
        self._file.write(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\n")
        if self._file.tell() > _ROTATE_BYTES:
            self._file.close()
            self.path.replace(self.path.with_suffix(".1.jsonl"))
            self._file = self._open()

    def since(self, seq: int, *, limit: int = 1_000) -> list[dict[str, Any]]:
        """Return up to `limit` entries after `seq`, oldest first."""
        newer = (entry for entry in self._entries if entry["seq"] > seq)
        return list(itertools.islice(newer, limit))

    def last_seq(self) -> int:
        """Return the newest entry's number (0: none)."""
        return int(self._entries[-1]["seq"]) if self._entries else 0

    def find(self, request_id: str) -> dict[str, Any] | None:
        """Return the entry of a request id."""
        return self._by_request.get(request_id)

    def documents(self, entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Return the policies that decided these entries, by digest, as they were then (those still kept)."""
        wanted = {
            decision.get("document", "") for entry in entries for decision in entry.get("decisions") or ()
        }
        return {digest: self._documents[digest] for digest in wanted if digest in self._documents}

    def clear(self) -> None:
        """Forget all entries (their numbers go on)."""
        self._documents.clear()
        self._entries.clear()
        self._by_request.clear()
        self._file.truncate(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def masked(name: str, value: str) -> str:
    """Return a header or parameter value fit for the journal."""
    return "********" if name.lower() in _SECRET_NAMES else value


def cut(value: Any, longest: int = _LONGEST_TEXT) -> Any:
    """Return a value with each text cut at `longest` characters, saying how much is gone.

    Lists keep their first and last fifty items, mappings their first hundred.
    """
    if isinstance(value, str):
        more = len(value) - longest
        return value if more <= 0 else f"{value[:longest]}… ({more:,} characters more)"
    if isinstance(value, Mapping):
        items = {name: cut(item, longest) for name, item in itertools.islice(value.items(), _MOST_ITEMS)}
        if len(value) > _MOST_ITEMS:
            items["…"] = f"{len(value) - _MOST_ITEMS:,} more"
        return items
    if isinstance(value, list | tuple):
        half = _MOST_ITEMS // 2
        kept = list(value) if len(value) <= _MOST_ITEMS else [*value[:half], *value[-half:]]
        return [cut(item, longest) for item in kept]
    return value


def _stamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
