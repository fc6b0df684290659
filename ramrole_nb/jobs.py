"""Work in the background: one thread a job, with progress, cancel and result. No widgets.

A function that can run as a job takes a `JobContext` first::

    def copy(ctx, names):
        for done, name in enumerate(names):
            ctx.check()  # raises Cancelled once the user asked for it
            ctx.progress(done, len(names), name)
            ...
            ctx.changed(f"copied {name}")
        return names

    job = Job.run(copy, ["a", "b"])
    job.wait()
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from .errors import Cancelled, InputError

__all__ = ["Job", "JobContext", "Progress"]

T = TypeVar("T")
P = ParamSpec("P")

_log = logging.getLogger(__name__)

NOT_STARTED, RUNNING, FINISHED, ERROR, CANCELLED = "not started", "running", "finished", "error", "cancelled"

_TICK = 0.05  # seconds between two notifications
_BURST = 4  # of them may come at once: the first words of a job must not wait for its second progress
_RATE_WINDOW = 3.0  # seconds over which the rate is taken


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    `done` and `total` in the job's own unit (bytes for transfers; `total` None: not known); `seconds` since
    the start; `rate` in units a second over the last three seconds.
    """

    done: int = 0
    total: int | None = None
    message: str = ""
    seconds: float = 0.0
    rate: float = 0.0

    @property
    def fraction(self) -> float | None:
        """From 0 to 1, or None while the total is not known."""
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0


class JobContext:
    """What a job's function is given to talk to the one who waits. Its methods may be called from any thread."""

    def __init__(
        self,
        name: str,
        cancel: threading.Event,
        changes: list[str],
        report: Callable[[int, int | None, str], None],
        flush: Callable[[], None],
    ) -> None:
        self._name, self._cancel, self._changes, self._report, self._flush = (
            name,
            cancel,
            changes,
            report,
            flush,
        )

    @property
    def cancelled(self) -> bool:
        """Whether the user asked to stop."""
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise Cancelled if the user asked to stop; the job adds what was already changed."""
        self._flush()
        if self.cancelled:
            raise Cancelled(f"{self._name} was cancelled.")

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Say how far the job is; an empty `message` keeps the last one."""
        self._report(done, total, message)

    def changed(self, text: str) -> None:
        """Record a change made, in words ("created the role R"), so that a cancelled job can name it."""
        self._changes.append(text)

    def sleep(self, seconds: float) -> None:
        """Sleep, or raise Cancelled at once when the user asks to stop."""
        self.check()
        until = time.monotonic() + seconds
        # In slices: a notification held back by the throttle must not wait for a long sleep to end.
        while (left := until - time.monotonic()) > 0:
            self._cancel.wait(min(left, _TICK))
            self.check()


class Job(Generic[T]):
    """One background run of a function.

    `state` is "not started", "running", "finished", "error" or "cancelled". A function that ends well
    although it was asked to stop is finished: its work is done.
    """

    def __init__(
        self, fn: Callable[Concatenate[JobContext, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        self._call: Callable[[JobContext], T] = lambda ctx: fn(ctx, *args, **kwargs)
        self.name = str(getattr(fn, "__name__", "job")).replace("_", " ").strip()
        self._lock = threading.RLock()
        self._cancel = threading.Event()
        self._done = threading.Event()
        self._callbacks: list[Callable[[Job[T]], object]] = []
        self._changes: list[str] = []
        self._state = NOT_STARTED
        self._result: T | None = None
        self._exception: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._started = self._ended = 0.0
        self._progress = Progress()
        self._marks: deque[tuple[float, int]] = deque()
        self._tokens, self._refilled, self._held = float(_BURST), 0.0, False

    @classmethod
    def run(
        cls, fn: Callable[Concatenate[JobContext, ...], T], *args: Any, name: str = "", **kwargs: Any
    ) -> Job[T]:
        """Start `fn(ctx, *args, **kwargs)` in a thread at once and return the job; `name` is what messages call it."""
        job: Job[T] = cls(fn, *args, **kwargs)
        if name:
            job.name = name
        return job.start()

    def start(self) -> Job[T]:
        """Start a job made with `Job(…)`; raise InputError if it was started before."""
        with self._lock:
            if self._state != NOT_STARTED:
                raise InputError(f"{self.name} was started before.", next_step="Use retry() to run it again.")
            self._state = RUNNING
            self._started = time.monotonic()
            # The context carries which notebook cell the output belongs to.
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=context.run, args=(self._work,), name=f"ramrole-job-{self.name}", daemon=True
            )
            self._thread.start()
        return self

    # ---- what the waiting side sees

    @property
    def state(self) -> str:
        """One of the five words of the class's docstring."""
        return self._state

    @property
    def progress(self) -> Progress:
        """How far it is, with the seconds up to now (or to the end)."""
        with self._lock:
            return Progress(
                self._progress.done,
                self._progress.total,
                self._progress.message,
                self._seconds(),
                self._rate(),
            )

    @property
    def changes(self) -> tuple[str, ...]:
        """What the job says it has changed so far, in order."""
        return tuple(self._changes)

    @property
    def result(self) -> T | None:
        """What the function returned; None before the end and after an error."""
        return self._result

    @property
    def exception(self) -> BaseException | None:
        """What the function raised (a Cancelled included), or None."""
        return self._exception

    def wait(self, timeout: float | None = None) -> T:
        """Wait for the end and return the function's result.

        Parameters: `timeout` in seconds (None: as long as it takes). Raises what the function raised,
        Cancelled, TimeoutError (the job goes on), or InputError where it can never end: not started, or
        waited for by itself. Interrupting the wait (Ctrl-C, the stop button) cancels the job.
        """
        if self._state == NOT_STARTED:
            raise InputError(f"{self.name} was not started.", next_step="Call start() first.")
        inside = threading.current_thread() is self._thread
        if inside and self._state == RUNNING:
            raise InputError(f"{self.name} cannot wait for itself.")
        if not inside:  # inside, this is a callback told of the end
            self._wait_for_end(timeout)
        if self._exception is not None:
            raise self._exception
        return cast(T, self._result)

    def _wait_for_end(self, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        try:
            # In slices, since on Windows a wait cannot be interrupted.
            while not self._done.wait(0.2 if until is None else max(0.0, min(0.2, until - time.monotonic()))):
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"{self.name} still runs after {timeout:g} s")
        except KeyboardInterrupt:
            self.cancel()
            self._done.wait(1.0)  # so that its clean-up is normally over when the prompt is back
            raise

    def cancel(self) -> bool:
        """Ask the job to stop; return whether it was still running. It stops at its next `check`."""
        with self._lock:
            running = self._state == RUNNING
            if running:
                self._cancel.set()
        return running

    def retry(self) -> Job[T]:
        """Run the same call again, as a new job with the same callbacks; raise InputError while this one runs."""
        with self._lock:
            if self._state in {NOT_STARTED, RUNNING}:
                raise InputError(
                    f"{self.name} is {self._state}.", next_step="Wait for it, or cancel() it first."
                )
            again = Job(self._call)
            again.name = self.name
            again._callbacks = list(self._callbacks)
        return again.start()

    def on_change(self, callback: Callable[[Job[T]], object]) -> Callable[[], None]:
        """Call `callback(job)` on progress and on each new state; return a function that stops it.

        It is called from the job's thread (at once, from this one, if the job is over), at most some 20
        times a second, and once more at the end. What it raises is logged and does not touch the job.
        """
        with self._lock:
            over = self._state in {FINISHED, ERROR, CANCELLED}
            self._callbacks.append(callback)  # also when over: retry() carries it on

        def stop() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        if over:
            self._tell(callback)
        return stop

    # ---- what the worker does

    def _work(self) -> None:
        self._notify(always=True)
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = self._call(
                JobContext(self.name, self._cancel, self._changes, self._set_progress, self._flush)
            )
        except BaseException as error:  # noqa: BLE001 (kept for the one who waits)
            failed = error
        state = CANCELLED if isinstance(failed, Cancelled) else ERROR if failed is not None else FINISHED
        if isinstance(failed, Cancelled) and self._changes and not failed.reason:
            failed.reason = "done before that: " + "; ".join(self._changes)
        with self._lock:
            self._result, self._exception, self._state = result, failed, state
            self._ended = time.monotonic()
            callbacks = list(self._callbacks)
        failed = None  # its traceback holds this frame: a cycle that would keep the job's data alive
        for callback in callbacks:
            self._tell(callback)
        # Last, so that whoever waited finds the callbacks (a widget's last picture) done.
        self._done.set()

    def _set_progress(self, done: int, total: int | None, message: str) -> None:
        now = time.monotonic()
        with self._lock:
            if self._state != RUNNING:
                return
            self._progress = Progress(done, total, message or self._progress.message)
            if self._marks and done < self._marks[-1][1]:
                self._marks.clear()  # it began again
            self._marks.append((now, done))
            while len(self._marks) > 2 and now - self._marks[1][0] > _RATE_WINDOW:
                self._marks.popleft()
            self._held = True
        self._notify()

    def _notify(self, *, always: bool = False) -> None:
        now = time.monotonic()
        with self._lock:
            self._tokens = min(float(_BURST), self._tokens + (now - self._refilled) / _TICK)
            self._refilled = now
            if self._tokens < 1 and not always:
                return
            self._tokens -= 1
            self._held = False
            callbacks = list(self._callbacks)
        for callback in callbacks:
            self._tell(callback)

    def _flush(self) -> None:
        if self._held:
            self._notify()

    def _tell(self, callback: Callable[[Job[T]], object]) -> None:
        try:
            callback(self)
        except Exception:  # noqa: BLE001 (a widget's trouble is not the job's)
            _log.exception("a callback of the job %s failed", self.name)

    def _seconds(self) -> float:
        if not self._started:
            return 0.0
        return (self._ended or time.monotonic()) - self._started

    def _rate(self) -> float:
        if not self._marks:
            return 0.0
        if self._ended:  # of the whole run
            return self._marks[-1][1] / max(self._seconds(), 1e-9)
        (t0, d0), (t1, d1) = self._marks[0], self._marks[-1]
        if len(self._marks) == 1 or t1 <= t0:
            return d1 / max(t1 - self._started, 1e-9)
        return (d1 - d0) / (t1 - t0)

    def __str__(self) -> str:
        seen = self.progress
        parts = [f"{self.name}: {self._state}"]
        if seen.total:
            parts.append(f"{100 * seen.done // seen.total} %")
        if self._state == ERROR and self._exception is not None:
            parts.append(f"{type(self._exception).__name__}: {self._exception}".splitlines()[0])
        elif seen.message:
            parts.append(seen.message.splitlines()[0])
        if self._started:
            parts.append(f"{seen.seconds:.1f} s")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Job {self}>"
