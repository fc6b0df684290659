"""Running the `ramrole` command as a person does: as a program, on a state folder of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ramrole_nb.cli import main
from ramrole_nb.errors import SandboxError
from ramrole_nb.sandbox import process
from ramrole_nb.sandbox.client import read_runtime


@dataclass
class Ramrole:
    """The command on one state folder. Calling it runs it and returns what came of it."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ramrole_nb", *arguments]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "RAMROLE_STATE": str(self.state), **self.environment}

    def __call__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env={**self.env, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str) -> dict[str, Any]:
        """Start the sandbox and return its start line."""
        done = self("sandbox", "start", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        line: dict[str, Any] = json.loads(done.stdout)
        return line

    def popen(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in this process, which is quicker: for what ends before anything is started."""
        out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
        os.environ |= {"RAMROLE_STATE": str(self.state), **self.environment}
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def end(self) -> None:
        """Stop the sandbox, however it is."""
        runtime = read_runtime(self.state)
        try:
            process.stop(self.state)
        except SandboxError:
            if runtime is not None:
                os.kill(int(runtime["pid"]), signal.SIGKILL)


@pytest.fixture
def ramrole() -> Iterator[Ramrole]:
    """The command on a fresh state folder (a short path: Unix sockets lie in it)."""
    folder = Path(tempfile.mkdtemp(prefix="rr-"))
    run = Ramrole(folder / "state")
    yield run
    run.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def running() -> Iterator[Ramrole]:
    """The command on a state folder whose sandbox runs, shared by a module's tests."""
    folder = Path(tempfile.mkdtemp(prefix="rr-"))
    run = Ramrole(folder / "state")
    run.start()
    yield run
    run.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def line(running: Ramrole) -> dict[str, Any]:
    """The running one's start line."""
    return running.start()
