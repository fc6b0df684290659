"""For how long something is still valid."""

from __future__ import annotations

import time

import anywidget

from ._base import NotNegative, Text, module, style

__all__ = ["Countdown", "duration"]


def duration(seconds: float) -> str:
    """Return whole seconds as people say them, e.g. `5 h 59 min 58 s`. static/countdown.js does the same."""
    left = max(int(seconds), 0)
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes, left = divmod(left, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    while len(units) > 1 and not units[0][0]:
        del units[0]
    return " ".join(f"{number} {unit}" for number, unit in units)


class Countdown(anywidget.AnyWidget):
    """Counts down in the browser; the kernel is not asked.

    Traits, times in epoch seconds: `until` the end (0: nothing is shown), `rotates` when the next one is due (0: not
    said), `now` the kernel's clock when these were set (0: the browser's clock is taken to be right), `label`, and
    `over` what is said at the end. A screen reader hears of it at 10 minutes, at 1 minute and at the end only.
    """

    _esm = module("countdown.js")
    _css = style("countdown")

    until = NotNegative(0.0).tag(sync=True)
    rotates = NotNegative(0.0).tag(sync=True)
    now = NotNegative(0.0).tag(sync=True)
    label = Text("valid for").tag(sync=True)
    over = Text("expired").tag(sync=True)

    def start(self, until: float, *, rotates: float = 0.0) -> None:
        """Count down to `until`, by this computer's clock."""
        with self.hold_sync():
            self.now = time.time()
            self.until = until
            self.rotates = rotates

    def line(self, at: float | None = None) -> str:
        """Return what is shown at `at` (epoch seconds; default: now), e.g. `valid for 59 min 58 s`."""
        if not self.until:
            return ""
        moment = time.time() if at is None else at
        if moment >= self.until:
            return self.over
        text = f"{self.label} {duration(self.until - moment)}".lstrip()
        if not self.rotates:
            return text
        due = self.rotates - moment
        return f"{text}, rotates in {duration(due)}" if due > 0 else f"{text}, rotation is due"
