"""Locks between processes, by a file: flock where there is one, byte locks on Windows."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["FileLock", "locked"]

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """An exclusive lock that ends with its holder, also after a `kill -9`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def acquire(self, *, wait: float = 0.0) -> bool:
        """Take the lock, trying for `wait` seconds; return whether it is held."""
        deadline = time.monotonic() + wait
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        while True:
            try:
                _lock(file)
            except OSError:
                if time.monotonic() >= deadline:
                    file.close()
                    return False
                time.sleep(0.02)
            else:
                self._file = file
                return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def locked(path: Path, *, wait: float = 10.0) -> Iterator[bool]:
    """Hold a lock for a block; yields whether it could be had."""
    lock = FileLock(path)
    held = lock.acquire(wait=wait)
    try:
        yield held
    finally:
        lock.release()
