"""One command on one instance: a child process of this computer, with the instance's proxy as its way out.

It is bounded: by the command's time-out, by an output limit, by the number that run at once, and it ends with the
sandbox. It is not a jail: the script runs as the user who started the sandbox, which is why RunCommand is off until
the knob `run_command` is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...run_on import child_environment
from ...store import Store

__all__ = ["OUTPUT_LIMIT", "Script", "cannot_run_here", "run_on_instance"]

# "Output … exceeded 24 KB": the doc-string of Dropped (alibabacloud_ecs20140526). That the first ones stay is ours.
OUTPUT_LIMIT = 24 * 1024
# How many scripts run at once; the others wait as Pending. Ours.
_AT_ONCE = 8
_PARTS = 64 * 1024
# What the sandbox itself is told by its environment is not the instance's.
_NOT_THE_INSTANCES = ("RAMROLE_", "XDG_", "PYTHON")

_gates: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


@dataclass(frozen=True)
class Script:
    """What is to run, and where."""

    invoke_id: str
    instance_id: str
    content: bytes
    timeout: int


@dataclass
class _Outcome:
    status: str
    error_code: str = ""
    error_info: str = ""
    exit_code: int | None = None
    output: bytes = b""
    dropped: int = 0


def cannot_run_here() -> str:
    """Say why this computer runs no shell scripts (empty: it does)."""
    if os.name != "posix" or shutil.which("sh") is None:
        return "this computer has no /bin/sh"
    return ""


def environment_on(store: Store, instance_id: str, home: str) -> dict[str, str]:
    """Return the environment of a program on an instance; its home is empty, so no profile wins over the role."""
    row = store.one("SELECT proxy_token FROM instances WHERE instance_id=?", instance_id)
    token = row["proxy_token"] if row else ""
    proxy = f"http://{instance_id}:{token}@127.0.0.1:{store.get_meta('port')}"
    kept: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_THE_INSTANCES)
    }
    return {**child_environment(proxy, kept), "HOME": home, "PWD": home, "USER": "root", "LOGNAME": "root"}


async def run_on_instance(store: Store, script: Script) -> None:
    """Run a script and write what came of it into the state; cancelled, it ends the script first."""
    loop = asyncio.get_running_loop()
    for old in [known for known in _gates if known.is_closed()]:
        del _gates[old]
    gate = _gates.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
    try:
        async with gate:
            _note(store, script, "status='Running', started=?", time.time())
            outcome = await _run(store, script)
    except asyncio.CancelledError:
        _finish(store, script, _Outcome("Failed", "ExecutionInterrupted", "The sandbox was stopped."))
        raise
    except OSError as error:
        outcome = _Outcome(
            "Failed", "ExecutionException", f"The script could not be started: {error.strerror}."
        )
    _finish(store, script, outcome)


def _note(store: Store, script: Script, change: str, *values: object) -> None:
    store.run(
        f"UPDATE invocation_instances SET {change} WHERE invoke_id=? AND instance_id=?",  # noqa: S608 - ours
        *values,
        script.invoke_id,
        script.instance_id,
    )


def _finish(store: Store, script: Script, outcome: _Outcome) -> None:
    _note(
        store,
        script,
        "status=?, error_code=?, error_info=?, exit_code=?, output=?, dropped=?, finished=?",
        outcome.status,
        outcome.error_code,
        outcome.error_info,
        outcome.exit_code,
        outcome.output,
        outcome.dropped,
        time.time(),
    )


def _prepared(folder: str, content: bytes) -> tuple[Path, Path]:
    """Return the home folder and the file of a script (small and local: it does not hold up the event loop)."""
    home, path = Path(folder, "root"), Path(folder, "script")
    home.mkdir(mode=0o700)
    path.write_bytes(content)
    return home, path


def _command(path: Path, content: bytes) -> list[str]:
    """Return the command for a script: its own `#!` line counts, else it is for sh."""
    first = content.split(b"\n", 1)[0].decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        if first.startswith("#!") and (words := shlex.split(first[2:])):
            return [*words, str(path)]
    return ["/bin/sh", str(path)]


async def _run(store: Store, script: Script) -> _Outcome:
    with tempfile.TemporaryDirectory(prefix="ramrole-run-", ignore_cleanup_errors=True) as folder:
        home, path = _prepared(folder, script.content)
        outcome, timed_out = _Outcome("Success"), False
        async with _reading(outcome) as (writing, reader):
            process = await asyncio.create_subprocess_exec(
                *_command(path, script.content),
                cwd=home,
                env=environment_on(store, script.instance_id, str(home)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                await asyncio.wait_for(process.wait(), script.timeout)
            except TimeoutError:
                timed_out = True
            finally:
                _end(process)  # what the script started, too: nothing is left (ours)
                await process.wait()
            writing.close()
            with contextlib.suppress(TimeoutError):  # a daemon that left the process group may hold it open
                await asyncio.wait_for(asyncio.shield(reader), 1)
    if timed_out:
        outcome.status, outcome.error_code = "Timeout", "ExecutionTimeout"
        outcome.error_info = f"The command did not finish in {script.timeout} seconds and was terminated."
    else:
        code = process.returncode or 0
        outcome.exit_code = code if code >= 0 else 128 - code
        if code:
            outcome.status, outcome.error_code = "Failed", "ExitCodeNonzero"
            outcome.error_info = f"The exit code of the command is {outcome.exit_code}, not zero."
    return outcome


@contextlib.asynccontextmanager
async def _reading(outcome: _Outcome) -> AsyncIterator[tuple[BinaryIO, asyncio.Task[None]]]:
    """Yield a pipe's end to write to, and the task that reads it into the outcome.

    A pipe of our own: that of asyncio makes `wait` wait for whoever inherited it, not only for the script.
    """
    reading, end = os.pipe()
    writing = os.fdopen(end, "wb", buffering=0)
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
    )
    task = asyncio.ensure_future(_read(stream, outcome))
    try:
        yield writing, task
    finally:
        writing.close()
        task.cancel()
        transport.close()


async def _read(stream: asyncio.StreamReader, outcome: _Outcome) -> None:
    while part := await stream.read(_PARTS):
        room = OUTPUT_LIMIT - len(outcome.output)
        outcome.output += part[:room]
        outcome.dropped += max(0, len(part) - room)


def _end(process: asyncio.subprocess.Process) -> None:
    """End a script and all it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
