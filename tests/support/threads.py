"""How many threads there are, once those that are just ending have ended."""

from __future__ import annotations

import threading
import time

__all__ = ["threads_settle"]


def threads_settle(at_most: int, *, seconds: float = 10.0) -> bool:
    """Wait until no more than `at_most` threads are alive; tell whether that came true."""
    deadline = time.monotonic() + seconds
    while threading.active_count() > at_most:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
