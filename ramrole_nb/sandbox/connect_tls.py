"""The door of a listener: plain HTTP goes straight on; after `CONNECT host:443`, or on a TLS socket, comes TLS.

aiohttp's server knows no CONNECT. So each connection first meets a `Door`, which looks at its first bytes and hands
the connection over: at once, or once it is encrypted. Certificates come from the state's own CA, one a host name.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from .ca import leaf_certificate
from .errors import FrontError

__all__ = ["Arrival", "Certificates", "Door", "Doorman"]

_MAX_HEAD = 16 * 1024
_HEAD_SECONDS = 30.0
_HANDSHAKE_SECONDS = 15.0
_CONTEXTS = 256
_RENEW = dt.timedelta(days=1)


@dataclass(frozen=True)
class Arrival:
    """How requests come in by a connection: from which instance, encrypted or not, through a tunnel to which host."""

    instance_id: str = ""
    scheme: str = "http"
    tunnel: str = ""  # the host that CONNECT named; its requests are for no other


class Certificates:
    """TLS contexts for the names the sandbox serves, each with a certificate of its own, made on demand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contexts: OrderedDict[str, tuple[ssl.SSLContext, dt.datetime]] = OrderedDict()

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's context for a host, from the cache or fresh."""
        now = dt.datetime.now(dt.UTC)
        found = self._contexts.get(host)
        if found is None or found[1] - _RENEW < now:
            context = _bare_context()
            pem, until = leaf_certificate(self._folder, host)
            _load(context, pem, self._folder)
            found = self._contexts[host] = (context, until)
            while len(self._contexts) > _CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(host)
        return found[0]

    def by_name(self) -> ssl.SSLContext:
        """Return a context that takes its certificate by the name the client asks for.

        Any name of Alibaba Cloud's has one: that the sandbox does not serve it is better said in an answer.
        """

        def choose(asked: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            if name is None or not name.lower().endswith(".aliyuncs.com"):
                return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
            asked.context = self.context(name.lower())
            return None

        context = _bare_context()
        context.sni_callback = choose
        return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pem: bytes, folder: Path) -> None:
    """Load key and certificate. The ssl module takes them from a file only: it lives for that long (mode 0600)."""
    number, name = tempfile.mkstemp(prefix=".leaf-", suffix=".pem", dir=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def _too_early() -> FrontError:
    return FrontError(400, "TooEarly", "Nothing may follow a CONNECT before it is answered.")


class Doorman:
    """What the doors of one server share: the handler, the certificates, who may tunnel where, and what is open."""

    def __init__(
        self,
        handle: Callable[[web.BaseRequest, Arrival], Awaitable[web.StreamResponse]],
        connect: Callable[[str, dict[str, str], str], Arrival],
        tls_failed: Callable[[Arrival, str], None],
        certificates: Certificates,
        **options: Any,
    ) -> None:
        """`options` are those of aiohttp's server for each connection."""
        self._handle = handle
        self.connect = connect
        self.tls_failed = tls_failed
        self.certificates = certificates
        self._options = options
        self._servers: dict[Arrival, web.Server] = {}
        self._waiting: set[Door] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def door(self, arrival: Arrival) -> Door:
        """Return the protocol for one new connection."""
        return Door(self, arrival)

    def protocol(self, arrival: Arrival) -> asyncio.Protocol:
        """Return aiohttp's protocol for a connection whose requests are now to come."""
        server = self._servers.get(arrival)
        if server is None:
            for known, idle in list(self._servers.items()):
                if known.tunnel and not idle.connections:
                    del self._servers[known]

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                return await self._handle(request, arrival)

            server = self._servers[arrival] = web.Server(handle, **self._options)
        return server()

    def waits(self, door: Door, *, still: bool) -> None:
        """Remember a connection that is not handed over yet, or forget it."""
        (self._waiting.add if still else self._waiting.discard)(door)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run a door's TLS handshake, and hold on to it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def shutdown(self) -> None:
        """Close every connection, those that never said a word included."""
        for door in list(self._waiting):
            door.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(server.shutdown(0.2) for server in self._servers.values()))


class Door(asyncio.Protocol):
    """One connection until it is known what it is."""

    def __init__(self, doorman: Doorman, arrival: Arrival) -> None:
        self._doorman = doorman
        self._arrival = arrival
        self._transport: asyncio.Transport  # from connection_made on
        self._seen = bytearray()
        self._tunnelling = False
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._doorman.waits(self, still=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._doorman.waits(self, still=False)
        if isinstance(exc, ssl.SSLError) and not self._tunnelling:
            # With TLS 1.3 a client that dislikes the certificate says so after the handshake.
            self._doorman.tls_failed(self._arrival, exc.reason or str(exc))
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._tunnelling:
            return  # the first of the tunnel's requests, before its handler is there
        start = b"CONNECT "
        if self._arrival.scheme == "https" or not self._seen.startswith(start[: len(self._seen)]):
            self._hand_over()
        elif b"\r\n\r\n" in self._seen:
            self._answer_connect()
        elif len(self._seen) > _MAX_HEAD:
            self._refuse(FrontError(431, "HeadTooLong", "The headers of this CONNECT are too long."))
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_HEAD_SECONDS, self.close)

    def _hand_over(self) -> None:
        """Let aiohttp have the connection, with what was read so far."""
        self._doorman.waits(self, still=False)
        protocol = self._doorman.protocol(self._arrival)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._seen:
            protocol.data_received(bytes(self._seen))

    def _answer_connect(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        head, _, rest = bytes(self._seen).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        target = first.split(" ")[1] if first.count(" ") == 2 else ""
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        try:
            if rest:
                raise _too_early()
            arrival = self._doorman.connect(target, headers, self._arrival.instance_id)
        except FrontError as error:
            self._refuse(error)
            return
        self._seen.clear()
        self._tunnelling = True
        self._doorman.start(self._encrypt(arrival))

    def _refuse(self, error: FrontError) -> None:
        """Say why, and close. Clients show the status line at best, so the code stands there too."""
        body = (error.message + "\n").encode()
        ask = 'Proxy-Authenticate: Basic realm="ramrole_nb sandbox"\r\n' if error.status == 407 else ""
        head = (
            f"HTTP/1.1 {error.status} {error.code}\r\nContent-Type: text/plain; charset=utf-8\r\n{ask}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()

    async def _encrypt(self, arrival: Arrival) -> None:
        plain = self._transport
        if self._seen:
            # Sent before the answer, and so not encrypted: it must not pass for what came through the tunnel.
            self._refuse(_too_early())
            return
        context = self._doorman.certificates.context(arrival.tunnel)
        plain.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            with contextlib.suppress(Exception):
                plain.abort()
            self._doorman.tls_failed(arrival, str(reason))
            return
        if encrypted is None:
            return  # it went away meanwhile
        self._transport, self._arrival, self._tunnelling = encrypted, arrival, False
        if self._seen:
            self._hand_over()
