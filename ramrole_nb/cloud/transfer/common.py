"""What both directions share: progress, cancelling, and the bucket's settings for a transfer."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import Cancelled, InputError

if TYPE_CHECKING:
    import oss2

# Seconds to connect, seconds between two packets. oss2's own 60 s for each makes a wrong endpoint look
# like a hang; a bucket built with another `connect_timeout` keeps it.
TIMEOUTS = (5.0, 30.0)
# The largest body of one PutObject, in bytes.
MAX_PUT = 5 * 1024**3
TICK = 0.05  # seconds between two reports
Progress = Callable[[int, int | None], None]
Cancel = Callable[[], bool] | threading.Event


def check_key(key: str) -> None:
    """Raise InputError where there is no key."""
    if not key:
        raise InputError(
            "The object key is empty.", next_step="Give the object's key, such as 'testfolder/example.png'."
        )


class Meter:
    """Calls `progress(done, total)` at most 20 times a second."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._next = 0.0
        self.total = total

    def __call__(self, done: int) -> None:
        if self._progress is not None and (now := time.monotonic()) >= self._next:
            self._next = now + TICK
            self._progress(done, self.total)

    def last(self, done: int) -> None:
        """Report the end, whenever the last report was."""
        if self._progress is not None:
            self._progress(done, self.total if self.total is not None else done)


def as_callable(cancel: Cancel | None) -> Callable[[], bool]:
    """Return `cancel` as a callable; None: never."""
    if cancel is None:
        return lambda: False
    return cancel.is_set if isinstance(cancel, threading.Event) else cancel


def check(cancelled: Callable[[], bool], key: str) -> None:
    """Raise Cancelled where the user has cancelled."""
    if cancelled():
        raise Cancelled(f"The transfer of {key} was cancelled; nothing of it was kept.")


def pause(seconds: float, cancelled: Callable[[], bool], key: str) -> None:
    """Wait `seconds`, in steps that notice a cancel."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check(cancelled, key)
        time.sleep(min(left, 0.05))


def own_settings(bucket: oss2.Bucket) -> Any:
    """Return a shallow copy (same session, same signer) without oss2's slow CRC and with our timeouts."""
    from oss2 import defaults

    ours: Any = copy.copy(bucket)
    ours.enable_crc = False
    if ours.timeout == defaults.connect_timeout:
        ours.timeout = TIMEOUTS
    return ours


def read_timeout(bucket: Any) -> float:
    """Return the bucket's time-out for reading, in seconds (infinite: none)."""
    timeout = bucket.timeout
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    return math.inf if read is None else float(read)
