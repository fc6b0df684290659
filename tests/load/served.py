"""A sandbox in a process of its own, for tests that kill it, weigh it, or read its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

__all__ = ["Served"]


class Served:
    """`ramrole sandbox start --foreground`, on a state folder of its own."""

    def __init__(self, state: Path, *, port: int = 0, world: str = "") -> None:
        self.state = state
        self.log = state.with_name(state.name + ".log")
        self._port = port
        self._world = world
        self._process: subprocess.Popen[str] | None = None
        self.line: dict[str, Any] = {}

    def start(self) -> Self:
        command = [sys.executable, "-m", "ramrole_nb", "--state", str(self.state), "sandbox", "start"]
        command += ["--foreground", "--json"]
        command += ["--world", self._world] if self._world else []
        command += ["--port", str(self._port)] if self._port else []
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
            )
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        assert told, self.log.read_text()
        self.line = json.loads(told)
        self._port = int(self.line["port"])
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        return self._port

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def admin_token(self) -> str:
        return str(json.loads((self.state / "runtime.json").read_text("utf-8"))["admin_token"])

    def proxy(self, name: str) -> str:
        """The proxy URL of an instance, by name."""
        return str(next(row["proxy_url"] for row in self.line["instances"] if row["name"] == name))

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        self._wait()

    def _wait(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def rss(self) -> float:
        """Resident memory in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self) -> float:
        """CPU seconds used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self, seconds: float = 0.2) -> None:
        time.sleep(seconds)
