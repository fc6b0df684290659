"""The sandbox: a local Alibaba Cloud on loopback (IMDS, RAM, ECS, STS, OSS) that speaks the real protocols.

`Sandbox` runs one in a thread of this process; `process.ensure` finds or starts the shared one of a state folder.
Importing this package loads neither aiohttp nor SQLite: both come with the server.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import SandboxStartFailed
from .client import AdminClient

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Sandbox"]


class Sandbox:
    """A sandbox in a thread of this process; a context manager.

    `state`: its folder (None: a temporary one, removed at the end); `world`: the world to start as; `port`: 0 for
    any free one. Raises StateError, SandboxStartFailed or InputError.
    """

    def __init__(self, state: str | Path | None = None, *, world: str = "", port: int = 0) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ramrole-sandbox-") if state is None else None
        self.state = Path(self._temporary.name if self._temporary else str(state))
        self._world = world
        self._port = port
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> Self:
        """Start it, and return once the port accepts."""
        if self._thread is not None:
            return self
        ready = threading.Event()
        failure: list[BaseException] = []

        def serve() -> None:
            async def main() -> None:
                try:
                    from .server import Server

                    self._server = Server(self.state, port=self._port, world=self._world)
                    self._loop = asyncio.get_running_loop()
                    await self._server.start()
                except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                    failure.append(error)
                    ready.set()
                    return
                ready.set()
                await self._server.run()

            asyncio.run(main())

        self._thread = threading.Thread(target=serve, name="ramrole-sandbox", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            self._thread.join()
            self._thread = None
            raise failure[0]
        return self

    def stop(self) -> None:
        """Stop it, and wait until it has."""
        if self._thread is not None and self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.request_stop)
            self._thread.join(10)
            self._thread = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> Server:
        if self._server is None or self._thread is None:
            raise SandboxStartFailed(
                "This sandbox is not started.", next_step="use it in a with block, or start() it"
            )
        return self._server

    @property
    def url(self) -> str:
        """Its address."""
        return self._running().url

    @property
    def start_line(self) -> dict[str, Any]:
        """Where it is and the world it holds; contains sandbox keys."""
        return self.admin.status()

    @property
    def admin(self) -> AdminClient:
        """Its admin interface."""
        server = self._running()
        return AdminClient(server.port, server.admin_token, server.folder)

    @property
    def sockets(self) -> dict[str, str]:
        """Each instance's own Unix socket."""
        return dict(self._running().sockets)

    def proxy_url(self, instance: str) -> str:
        """What to set as http_proxy to be an instance (by id or name)."""
        for row in self.start_line["instances"]:
            if instance in (row["instance_id"], row["name"]):
                return str(row["proxy_url"])
        raise KeyError(instance)

    def reset(self, world: str = "") -> dict[str, Any]:
        """Put the world back; port, CA and keys stay."""
        return self.admin.reset(world)

    def set(self, **knobs: Any) -> dict[str, Any]:
        """Set knobs (None: back to the default)."""
        return self.admin.knobs(**knobs)

    def fault(self, name: str, on: bool = True, *, instances: Sequence[str] = ()) -> None:
        """Switch a fault (for some instances only: ids or names)."""
        self.admin.fault(name, on, instances=instances)

    def expire(self) -> int:
        """Expire every temporary credential at once; return how many were still valid."""
        return self.admin.expire()

    def journal(self, since: int = 0) -> list[dict[str, Any]]:
        """Return all journal entries after number `since` (the journal holds the last 5,000)."""
        entries: list[dict[str, Any]] = []
        while page := self.admin.journal(since)["entries"]:
            entries += page
            since = page[-1]["seq"]
        return entries
