"""The shared sandbox of a state folder: found by its runtime file, started on demand under a lock."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import RamroleError, SandboxError, SandboxNotRunning, SandboxStartFailed, StateError
from ..locks import locked
from .client import AdminClient, read_runtime

__all__ = ["IDLE_SECONDS", "admin_of", "default_state", "ensure", "running", "serve", "stop"]

# A forgotten sandbox ends by itself; a notebook that comes back starts it again, with its world.
IDLE_SECONDS = 2 * 3600.0
_START_SECONDS = 30.0

# The servers this process has started. They outlive it; held here, they are waited for once they have stopped.
_started: list[subprocess.Popen[bytes]] = []


def default_state() -> Path:
    """Return the state folder: RAMROLE_STATE, else the platform's user state folder."""
    given = os.environ.get("RAMROLE_STATE")
    if given:
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "ramrole_nb"


def admin_of(runtime: dict[str, Any]) -> AdminClient:
    """Return the admin client of a running sandbox."""
    return AdminClient(int(runtime["port"]), runtime["admin_token"], Path(runtime["state"]))


def running(state: Path) -> dict[str, Any] | None:
    """Return the runtime of the sandbox that runs on a state folder and answers, or None."""
    runtime = read_runtime(state)
    if runtime is None:
        return None
    try:
        found = admin_of(runtime).status(timeout=5.0)
    except (SandboxError, OSError, ValueError, KeyError):
        return None  # killed, and its runtime file left behind
    return {**runtime, **found}


def ensure(state: Path, *, world: str = "", port: int = 0) -> dict[str, Any]:
    """Return the running sandbox of a state folder, started if none runs.

    Raises StateError (folder or file unusable), SandboxStartFailed, and SandboxError where another world is wanted
    than the one that runs.
    """
    found = running(state)
    if found is None:
        state = _usable(state)
        with locked(state / "start.lock", wait=_START_SECONDS):
            found = running(state) or _spawn(state, world, port)
    if world and found["world"] != world:
        raise SandboxError(
            f"The sandbox on {state} holds the world {found['world']!r}, not {world!r}.",
            next_step=f"change it: ramrole sandbox reset --world {world}",
        )
    return found


def _usable(state: Path) -> Path:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        (state / "start.lock").touch(mode=0o600)
    except OSError as error:
        raise StateError(
            f"The state folder {state} cannot be used: {error.strerror or error}.",
            next_step="name a folder you may write to: --state FOLDER or RAMROLE_STATE=FOLDER",
        ) from None
    return state


def _spawn(state: Path, world: str, port: int) -> dict[str, Any]:
    """Start the server process, detached from this terminal, and wait until it answers."""
    command = [sys.executable, "-m", "ramrole_nb", "--state", str(state), "sandbox", "start", "--foreground"]
    command += ["--idle", f"{IDLE_SECONDS:g}", "--quiet"]
    command += ["--world", world] if world else []
    command += ["--port", str(port)] if port else []
    log_path = state / "server.log"
    flags: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = {"creationflags": 0x00000008 | 0x00000200}  # detached, a process group of its own
    try:
        with open(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            at = log.tell()
            # From the state folder: the caller's may be removed while the server runs.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=state,
                env=_environment(),
                **flags,
            )
    except OSError as error:
        raise SandboxStartFailed(
            f"The sandbox's process cannot be started: {error.strerror or error}.",
            reason=str(error.filename or ""),
            next_step="check the rights on it, or name another folder: --state FOLDER",
        ) from None
    _started[:] = [earlier for earlier in _started if earlier.poll() is None] + [process]
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        runtime = read_runtime(state)
        if runtime is not None and runtime.get("pid") == process.pid:
            with contextlib.suppress(SandboxError, OSError):
                return {**runtime, **admin_of(runtime).status()}
        if process.poll() is not None:
            break
        time.sleep(0.01)
    told = log_path.read_bytes()[at:].decode(errors="replace").strip()
    if process.poll() is None:
        process.kill()
        told = told or f"it did not answer within {_START_SECONDS:.0f} s"
    first, _, rest = told.partition("\n  next step: ")
    raise SandboxStartFailed(
        "The sandbox did not start.",
        reason=first.removeprefix("ramrole: ").replace("\n  ", " ") or "it said nothing",
        next_step=rest or f"see {log_path}",
    )


def _environment() -> dict[str, str]:
    """The server needs nothing of the caller's keys and proxies."""
    secret = ("ALIBABA_CLOUD_", "OSS_ACCESS", "OSS_SESSION", "OSS_SECRET")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(secret)
        and name.lower() not in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    }


def stop(state: Path) -> bool:
    """Stop the sandbox of a state folder; return whether one ran. Waits until it is gone."""
    found = running(state)
    if found is None:
        return False
    admin_of(found).stop()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        # The lock is given back last of all, when every file is closed.
        with locked(state / "server.lock", wait=0.0) as free:
            if free:
                _started[:] = [
                    child for child in _started if child.pid != found["pid"] or child.wait(5) is None
                ]
                return True
        time.sleep(0.02)
    raise SandboxError(
        f"The sandbox (pid {found['pid']}) was asked to stop and still runs.",
        next_step=f"end it: kill {found['pid']}",
    )


def need_running(state: Path) -> dict[str, Any]:
    """Return the running sandbox, or raise SandboxNotRunning."""
    found = running(state)
    if found is None:
        raise SandboxNotRunning(f"No sandbox runs on {state}.", next_step="start it: ramrole sandbox start")
    return found


def serve(state: Path, *, world: str = "", port: int = 0, idle: float = 0.0, started: Any = None) -> None:
    """Serve in this process until stopped by signal, admin call or idleness. `started(start_line)` is called once up."""
    import asyncio
    import signal

    from .server import Server

    async def main() -> None:
        server = Server(state, port=port, world=world, idle_seconds=idle)
        await server.start()
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM"):
            with contextlib.suppress(NotImplementedError, AttributeError):
                loop.add_signal_handler(getattr(signal, name), server.request_stop)
        if started is not None:
            started(server.start_line())
        await server.run()

    try:
        asyncio.run(main())
    except RamroleError as error:
        failure: RamroleError | None = error
    else:
        failure = None
    if failure is not None:
        raise failure
