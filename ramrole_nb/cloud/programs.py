"""Running another program for a credential: cancellable, bounded in time, no secret on its command line."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import RamroleError
from ..jobs import JobContext
from ..redact import redact

__all__ = ["Ended", "run_program"]

_LOOK = 0.1  # seconds between two looks whether it was cancelled


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code and what it wrote, secrets masked."""

    code: int
    out: str
    err: str


def run_program(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: str = "",
    timeout: float = 30.0,
    ctx: JobContext | None = None,
) -> Ended:
    """Run a program to its end.

    `stdin` is what it is given to read: nobody can see that, as they can its command line. Raises RamroleError where
    it cannot be started or takes longer than `timeout` seconds, and Cancelled; it is ended then.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - this Python, or the CLI that PATH names
            list(command),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise RamroleError(
            f"{command[0]} cannot be started: {error.strerror or error}.", next_step="check its installation"
        ) from None
    given: str | None = stdin
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(given, timeout=_LOOK)
                return Ended(process.returncode, redact(out), redact(err))
            given = None  # communicate() goes on with what it was given first
            if ctx is not None:
                ctx.check()
            if time.monotonic() - started > timeout:
                raise RamroleError(
                    f"{command[0]} did not end within {timeout:.0f} s.",
                    reason="the metadata service, or another one it asks, does not answer it",
                    next_step="look whether the metadata service answers: vm.metadata.credentials()",
                )
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
