"""The sandbox server: one loopback port, one Unix socket per instance, the state behind them.

It belongs to one event loop; `Sandbox` runs it in a thread, `ramrole sandbox start` in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import secrets
import shutil
import socket
import ssl
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from yarl import URL

from .._version import __version__
from ..errors import SandboxStartFailed, StateError
from ..locks import FileLock
from .admin import Admin
from .ca import ensure_ca
from .connect_tls import Arrival, Certificates, Doorman
from .front import Front
from .issued import derived_access_key_id, derived_secret, report
from .journal import Journal
from .knobs import Knobs
from .run_on import TLS_SUFFIX
from .services import ecs, ram, sts
from .store import Store
from .worlds import check_world, populate

__all__ = ["RUNTIME_FILE", "Server"]

RUNTIME_FILE = "runtime.json"

# Registers the operations of these services.
_SERVICES = (ecs, ram, sts)

# Longer paths do not fit into a Unix socket's address.
_LONGEST_SOCKET_PATH = 100

# The SDKs send parameters in the query: a policy of 6144 characters, or a command of 24 KB, three times as long encoded.
_LONGEST_LINE = 128 * 1024

log = logging.getLogger("ramrole_nb.sandbox")

# aiohttp logs what it cannot parse word for word, and a broken request may hold keys and tokens: that stays unwritten.
_silent = logging.getLogger("ramrole_nb.sandbox.http")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Server:
    """One sandbox on one state folder. Raises StateError or SandboxStartFailed where it cannot start."""

    def __init__(self, folder: Path, *, port: int = 0, world: str = "", idle_seconds: float = 0.0) -> None:
        self.folder = folder.resolve()
        self._wanted_port = port
        self._wanted_world = check_world(world) if world else ""
        self._idle_seconds = idle_seconds
        self._stopping = asyncio.Event()
        self._cleanup = contextlib.AsyncExitStack()
        self.port = 0

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the state, listen, and write the runtime file once the port accepts."""
        try:
            await self._start()
        except BaseException:
            await self._cleanup.aclose()
            raise

    async def _start(self) -> None:
        self.store = Store(self.folder)
        self._cleanup.callback(self.store.close)
        lock = FileLock(self.folder / "server.lock")
        if not lock.acquire(wait=0.5):
            raise SandboxStartFailed(
                f"A sandbox already runs on {self.folder}{_pid_of(self.folder)}.",
                next_step="use it (ramrole sandbox status), stop it (ramrole sandbox stop), or take another --state",
            )
        self._cleanup.callback(lock.release)
        self._found_state()
        self.ca_file = ensure_ca(self.folder)
        self.journal = Journal(self.folder)
        self._cleanup.callback(self.journal.close)
        self.knobs = Knobs(self.store)
        self.admin_token = report(f"SANDBOX{secrets.token_hex(16)}")
        self._report_lasting_secrets()
        self.admin = Admin(
            self.store,
            self.knobs,
            self.journal,
            self.admin_token,
            self.start_line,
            self._stopping.set,
            self._world_changed,
        )
        self.front = Front(self.store, self.knobs, self.journal, self.admin)
        self._cleanup.push_async_callback(self.front.close)
        loop = asyncio.get_running_loop()
        certificates = Certificates(self.folder)
        self.doorman = Doorman(
            self.front.handle,
            self.front.connect,
            self.front.tls_failed,
            certificates,
            access_log=None,
            logger=_silent,
            request_factory=_request,
            keepalive_timeout=75.0,
            max_line_size=_LONGEST_LINE,
        )
        self._cleanup.push_async_callback(self.doorman.shutdown)
        door = functools.partial(self.doorman.door, Arrival())
        listener = await loop.create_server(door, sock=self._listen(), backlog=512)
        self._cleanup.push_async_callback(_close, listener)
        await self._listen_for_instances()
        self._write_runtime()
        self._cleanup.callback(self._remove_runtime)
        self._cleanup.callback(asyncio.ensure_future(self._housekeeping()).cancel)

    async def run(self) -> None:
        """Serve until stopped, or until nobody has asked for anything for the idle time."""
        await self._stopping.wait()
        await self.stop()

    async def stop(self) -> None:
        """Close everything, runtime file first."""
        self._stopping.set()
        await self._cleanup.aclose()

    def request_stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    async def _housekeeping(self) -> None:
        seen, quiet_since = self.front.requests, time.monotonic()
        while True:
            await asyncio.sleep(min(30.0, self._idle_seconds / 2) if self._idle_seconds else 30.0)
            self.store.forget_expired()
            if self.front.requests != seen:
                seen, quiet_since = self.front.requests, time.monotonic()
            elif self._idle_seconds and time.monotonic() - quiet_since >= self._idle_seconds:
                log.info("idle for %.0f s: stopping", self._idle_seconds)
                self._stopping.set()

    # -- start -----------------------------------------------------------------------------------------------

    def _found_state(self) -> None:
        store = self.store
        world = store.get_meta("world")
        if not store.get_meta("master"):
            with store.transaction():
                store.set_meta("master", secrets.token_hex(32))
                store.set_meta("token_key", secrets.token_hex(32))
                store.set_meta("account_id", f"1{secrets.randbelow(10**15):015d}")
        if not world:
            populate(store, self._wanted_world or "default")
        elif self._wanted_world and self._wanted_world != world:
            raise SandboxStartFailed(
                f"The state in {self.folder} holds the world {world!r}, not {self._wanted_world!r}.",
                next_step=f"change it: ramrole sandbox reset --world {self._wanted_world}",
            )
        else:
            store.sweep()

    def _report_lasting_secrets(self) -> None:
        # Derived, not stored in plain sight: name each one, so that masking and leak searches know it.
        master = self.store.get_meta("master")
        for row in self.store.all("SELECT name FROM users"):
            derived_secret(master, f"user {row['name']}")
        for row in self.store.all("SELECT instance_id FROM instances"):
            derived_secret(master, f"proxy {row['instance_id']}")
        report(master)
        report(self.store.get_meta("token_key"))

    def _listen(self) -> socket.socket:
        """Bind 127.0.0.1: the port asked for, else the last one (addresses handed out stay good), else any."""
        last = int(self.store.get_meta("port", "0"))
        for port in [self._wanted_port] if self._wanted_port else [last, 0] if last else [0]:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError as error:
                sock.close()
                if port and port != self._wanted_port:
                    continue
                raise SandboxStartFailed(
                    f"Port {port} of 127.0.0.1 cannot be used: {error.strerror or error}.",
                    next_step="leave --port out (any free port is taken), or name another",
                ) from None
            self.port = sock.getsockname()[1]
            self.store.set_meta("port", str(self.port))
            return sock
        raise AssertionError("unreachable: port 0 always binds or raises")

    async def _listen_for_instances(self) -> None:
        """Open two Unix sockets per instance, plain and TLS: whatever comes in by them was sent on that instance.

        A network namespace cannot see the host's loopback, but it can see these.
        """
        self.sockets: dict[str, str] = {}
        if not hasattr(socket, "AF_UNIX"):
            return
        rows = self.store.all("SELECT instance_id FROM instances")
        folder = self.folder / "sockets"
        if any(len(str(folder / row["instance_id"])) > _LONGEST_SOCKET_PATH for row in rows):
            folder = Path(tempfile.mkdtemp(prefix="ramrole-"))
            self._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        tls = self.doorman.certificates.by_name()
        for row in rows:
            path = folder / row["instance_id"]
            await self._listen_at(path, Arrival(row["instance_id"]), None)
            await self._listen_at(
                path.with_name(path.name + TLS_SUFFIX), Arrival(row["instance_id"], "https"), tls
            )
            self.sockets[row["instance_id"]] = str(path)

    async def _listen_at(self, path: Path, arrival: Arrival, tls: ssl.SSLContext | None) -> None:
        _remove_socket(path)
        loop = asyncio.get_running_loop()
        door = functools.partial(self.doorman.door, arrival)
        listener = await loop.create_unix_server(door, str(path), ssl=tls)
        os.chmod(path, 0o600)
        self._cleanup.callback(path.unlink, missing_ok=True)
        self._cleanup.push_async_callback(_close, listener)

    # -- what others are told --------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of the one port."""
        return f"http://127.0.0.1:{self.port}"

    def start_line(self) -> dict[str, Any]:
        """Return the start line: where the sandbox is, and the world it holds. It contains sandbox keys."""
        store = self.store
        master = store.get_meta("master")
        instances = []
        for row in store.all("SELECT * FROM instances ORDER BY position"):
            known = json.loads(row["facts"])
            token = row["proxy_token"]
            instances.append(
                {
                    "instance_id": row["instance_id"],
                    "name": known["name"],
                    "region_id": row["region_id"],
                    "os_type": known["os_type"],
                    "network_type": known["network_type"],
                    "status": known["status"],
                    "http_tokens": row["http_tokens"],
                    "proxy_url": f"http://{row['instance_id']}:{token}@127.0.0.1:{self.port}",
                }
            )
        buckets = []
        for row in store.all("SELECT * FROM buckets ORDER BY created, rowid"):
            objects = store.all("SELECT * FROM objects WHERE bucket=? ORDER BY modified, key", row["name"])
            shown = [
                {"key": o["key"], "size": o["size"], "crc64": o["crc64"], "sha256": o["sha256"]}
                for o in objects
            ]
            buckets.append({"name": row["name"], "region_id": row["region_id"], "objects": shown})
        return {
            "url": self.url,
            "port": self.port,
            "pid": os.getpid(),
            "state": str(self.folder),
            "world": store.get_meta("world"),
            "account_id": store.account_id,
            "ca_file": str(self.ca_file),
            "version": __version__,
            "users": [
                {
                    "name": row["name"],
                    "access_key_id": derived_access_key_id(master, f"user {row['name']}"),
                    "access_key_secret": derived_secret(master, f"user {row['name']}"),
                }
                for row in store.all("SELECT name FROM users ORDER BY position")
            ],
            "instances": instances,
            "buckets": buckets,
        }

    def _world_changed(self) -> None:
        self._write_runtime()
        self.front.forget_world()

    def _write_runtime(self) -> None:
        """Write the runtime file (0600) by renaming, so that readers never see half of it."""
        path, fresh = self.folder / RUNTIME_FILE, self.folder / f".{RUNTIME_FILE}.{os.getpid()}"
        content = {**self.start_line(), "admin_token": self.admin_token, "sockets": self.sockets}
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(content, file)
        fresh.replace(path)

    def _remove_runtime(self) -> None:
        (self.folder / RUNTIME_FILE).unlink(missing_ok=True)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """Make aiohttp's request. `CONNECT` without a target has none: it becomes one the front refuses.

    aiohttp 3.14 fails on it, outside of any handler, and leaves the client waiting.
    """
    if message.url is None:
        message = message._replace(method="GET", path="*", url=URL("*"))
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())


async def _close(listener: asyncio.Server) -> None:
    listener.close()


def _remove_socket(path: Path) -> None:
    """Remove what a killed server left."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()


def _pid_of(folder: Path) -> str:
    try:
        return f" (pid {json.loads((folder / RUNTIME_FILE).read_text())['pid']})"
    except (OSError, ValueError, KeyError):
        return ""


def check_state(folder: Path) -> None:
    """Raise StateError unless the folder can hold a state (used before a process is started)."""
    if folder.exists() and not folder.is_dir():
        raise StateError(f"{folder} is not a folder.", next_step="name a folder: --state FOLDER")
