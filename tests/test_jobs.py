from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ramrole_nb.errors import Cancelled, InputError
from ramrole_nb.jobs import Job, JobContext


def settled(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return bool(condition())


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert settled(lambda: set(threading.enumerate()) <= before), threading.enumerate()


def until_cancelled(ctx: JobContext) -> None:
    while True:
        ctx.sleep(10)


def add(ctx: JobContext, a: int, b: int = 0) -> int:
    ctx.progress(1, 1, "added")
    return a + b


def test_a_job_runs_and_returns() -> None:
    job = Job.run(add, 1, b=2)

    assert job.wait() == 3
    assert (job.state, job.result, job.exception) == ("finished", 3, None)
    assert job.progress.fraction == 1.0
    assert job.wait() == 3  # as often as one likes


def test_it_runs_elsewhere_in_one_daemon_thread() -> None:
    def where(_: JobContext) -> threading.Thread:
        return threading.current_thread()

    thread = Job.run(where).wait()

    assert thread is not threading.current_thread()
    assert thread.daemon
    assert thread.name == "ramrole-job-where"


def test_a_job_can_be_started_later() -> None:
    job = Job(add, 1)

    assert job.state == "not started"
    with pytest.raises(InputError, match="not started"):
        job.wait()
    with pytest.raises(InputError):
        job.retry()
    assert job.start().wait() == 1
    with pytest.raises(InputError, match="started before"):
        job.start()


def test_an_error_is_kept_and_raised_by_wait() -> None:
    def fail(_: JobContext) -> None:
        raise LookupError("no such role\nsecond line")

    job = Job.run(fail, name="look up")

    with pytest.raises(LookupError, match="no such role"):
        job.wait()
    assert job.state == "error"
    assert isinstance(job.exception, LookupError)
    assert str(job).startswith("look up: error, LookupError: no such role, ")
    assert "\n" not in repr(job)


def test_system_exit_in_a_job_ends_the_job_only() -> None:
    def leave(_: JobContext) -> None:
        sys.exit(3)

    job = Job.run(leave)

    with pytest.raises(SystemExit):
        job.wait()
    assert job.state == "error"


def test_cancel_says_what_was_already_changed() -> None:
    def create(ctx: JobContext) -> None:
        ctx.changed("created the role R")
        ctx.changed("granted P")
        until_cancelled(ctx)

    job = Job.run(create)
    assert settled(lambda: len(job.changes) == 2)

    assert job.cancel()
    with pytest.raises(Cancelled) as caught:
        job.wait()

    assert job.state == "cancelled"
    assert "created the role R; granted P" in str(caught.value)
    assert not job.cancel()


def test_cancel_interrupts_a_sleep_at_once() -> None:
    job = Job.run(until_cancelled)
    began = time.monotonic()

    job.cancel()

    with pytest.raises(Cancelled):
        job.wait()
    assert time.monotonic() - began < 1


def test_work_that_is_done_is_finished_although_cancelled() -> None:
    go = threading.Event()

    def deaf(ctx: JobContext) -> bool:
        go.wait(5)
        return ctx.cancelled

    job = Job.run(deaf)
    job.cancel()
    go.set()

    assert job.wait() is True
    assert job.state == "finished"


def test_wait_gives_up_and_the_job_goes_on() -> None:
    job = Job.run(until_cancelled)

    with pytest.raises(TimeoutError):
        job.wait(timeout=0.05)

    assert job.state == "running"
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait()


def test_a_job_cannot_wait_for_itself() -> None:
    jobs: list[Job[None]] = []
    ready = threading.Event()

    def wait_for_me(_: JobContext) -> None:
        ready.wait(5)
        jobs[0].wait()

    jobs.append(Job.run(wait_for_me))
    ready.set()

    with pytest.raises(InputError, match="wait for itself"):
        jobs[0].wait()


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_interrupting_the_wait_cancels_the_job() -> None:
    program = textwrap.dedent(
        """
        from ramrole_nb.jobs import Job
        def work(ctx):
            print("runs", flush=True)
            ctx.sleep(60)
        job = Job.run(work)
        try:
            job.wait()
        except KeyboardInterrupt:
            print(job.state)
        """
    )
    root = Path(__file__).parent.parent
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    time.sleep(0.2)  # it must be in wait()

    process.send_signal(signal.SIGINT)

    out, _ = process.communicate(timeout=10)
    assert out == "cancelled\n"


def test_callbacks_see_each_state_and_the_end() -> None:
    seen: list[str] = []
    go = threading.Event()

    def work(ctx: JobContext) -> int:
        go.wait(5)
        ctx.progress(1, 2, "half")
        return 7

    job = Job(work)
    job.on_change(lambda j: seen.append(f"{j.state} {j.progress.message} {j.result}"))
    job.start()
    go.set()
    job.wait()

    # wait() returns after the last callback, so there is nothing to wait for here.
    assert seen[0] == "running  None"
    assert seen[-1] == "finished half 7"
    assert "running half None" in seen


def test_a_callback_added_after_the_end_is_called_at_once() -> None:
    job = Job.run(add, 1)
    job.wait()
    seen: list[str] = []

    job.on_change(lambda j: seen.append(j.state))

    assert seen == ["finished"]


def test_a_callback_may_wait_for_the_ended_job_and_be_taken_off() -> None:
    seen: list[int] = []
    job = Job(add, 4)
    stop = job.on_change(lambda _: seen.append(0))
    job.on_change(lambda j: seen.append(j.wait()) if j.state == "finished" else None)
    stop()
    stop()

    job.start().wait()

    assert seen == [4]


def test_a_failing_callback_does_not_touch_the_job(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(add, 1)
    job.on_change(lambda _: 1 / 0)
    seen: list[str] = []
    job.on_change(lambda j: seen.append(j.state))

    with caplog.at_level(logging.ERROR):
        assert job.start().wait() == 1

    assert seen[-1] == "finished"
    assert "a callback of the job add failed" in caplog.text


def test_callbacks_are_throttled_but_the_last_progress_is_seen() -> None:
    def work(ctx: JobContext) -> None:
        until = time.monotonic() + 0.5
        n = 0
        while time.monotonic() < until:
            n += 1
            ctx.progress(n, None)
        ctx.progress(10**9, 10**9, "last")

    calls: list[int] = []
    job = Job(work)
    job.on_change(lambda j: calls.append(j.progress.done))
    job.start().wait()

    assert 5 <= len(calls) <= 20
    assert calls[-1] == 10**9


def test_a_progress_held_back_is_told_while_the_job_sleeps() -> None:
    told = threading.Event()

    def work(ctx: JobContext) -> None:
        for i in range(50):
            ctx.progress(i, 50)
        ctx.progress(50, 50, "waiting for the role")
        ctx.sleep(60)

    job = Job(work)
    job.on_change(lambda j: told.set() if j.progress.message else None)
    job.start()

    assert told.wait(5)
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait()


def test_the_rate_is_per_second() -> None:
    rates: list[float] = []

    def work(ctx: JobContext) -> None:
        for done in range(0, 1001, 100):
            ctx.progress(done, 1000)
            time.sleep(0.02)
        rates.append(job.progress.rate)

    job = Job(work)
    job.start().wait()

    assert 1000 < rates[0] <= 5100
    assert 1000 < job.progress.rate <= 5100
    ended = job.progress.seconds
    time.sleep(0.02)
    assert job.progress.seconds == ended


def test_a_restarted_count_does_not_make_a_negative_rate() -> None:
    def work(ctx: JobContext) -> None:
        ctx.progress(1000, 1000)
        ctx.progress(10, 1000)
        assert job.progress.rate >= 0

    job = Job(work)
    job.start().wait()


def test_retry_is_a_new_job_with_the_same_call_and_callbacks() -> None:
    tries: list[str] = []

    def flaky(_: JobContext, word: str) -> str:
        tries.append(word)
        if len(tries) == 1:
            raise OSError("first time")
        return word

    seen: list[str] = []
    job = Job.run(flaky, "w", name="flaky")
    with pytest.raises(OSError, match="first"):
        job.wait()
    job.on_change(lambda j: seen.append(j.state))
    again = job.retry()

    assert again is not job
    assert (again.wait(), again.name, tries) == ("w", "flaky", ["w", "w"])
    assert job.state == "error"
    assert (seen[0], seen[-1]) == ("error", "finished")


def test_retry_while_running_is_refused() -> None:
    job = Job.run(until_cancelled)

    with pytest.raises(InputError, match="running"):
        job.retry()

    job.cancel()
    with pytest.raises(Cancelled):
        job.wait()


def test_a_forgotten_job_leaves_nothing() -> None:
    class Big:
        pass

    def work(_: JobContext, __: Big) -> None:
        raise ValueError("kept with its traceback")

    big = Big()
    ref = weakref.ref(big)
    job = Job.run(work, big)
    with pytest.raises(ValueError, match="kept"):
        job.wait()

    del big, job
    assert settled(lambda: gc.collect() is not None and ref() is None)


def test_one_line_whatever_the_state() -> None:
    assert str(Job(add, 1)) == "add: not started"
    job = Job.run(until_cancelled)
    assert str(job).startswith("until cancelled: running")
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait()
    assert repr(job).startswith("<Job until cancelled: cancelled, ")
