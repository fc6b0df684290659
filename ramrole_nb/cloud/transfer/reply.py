"""The reply to GetObject, and its body read from the socket into one buffer."""

from __future__ import annotations

import io
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

from ...errors import ServerFault
from .common import TICK, Meter, check
from .target import Part

# What a non-blocking socket raises: plain, over TLS.
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)


class Reply:
    """One answer to GetObject and its body, read from the connection's socket into our buffer.

    urllib3's `read` makes a new `bytes` each time, and neither it nor oss2 can be cancelled while nothing
    arrives. Where the private attributes this needs are missing, or the body is chunked, urllib3's public
    `read1`/`read` serve.
    """

    def __init__(self, result: Any, timeout: float) -> None:
        headers = result.headers
        self.status = int(result.status)
        self.etag = str(headers.get("ETag", ""))
        self.crc = str(headers.get("x-oss-hash-crc64ecma", ""))
        self.request_id = str(result.request_id or "")
        self.timeout = timeout
        self._response = result.resp.response
        self._raw = self._response.raw
        length = str(headers.get("Content-Length", ""))
        self._left = int(length) if length.isdigit() and "Transfer-Encoding" not in headers else None
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", str(headers.get("Content-Range", "")).strip())
        self.start, self.total = 0, self._left
        if self.status == 206:
            # A range that is missing or contradicts its own length is never the one asked for.
            self.start = -1
            if span and self._left == int(span[2]) - int(span[1]) + 1:
                self.start, self.total = int(span[1]), int(span[3])
        self._failure: OSError | None = None
        self._closed = False
        self._early = memoryview(b"")  # what came in one packet with the head
        self._sock: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        if self._left:
            self._take_socket()

    def _take_socket(self) -> None:
        stream = getattr(getattr(self._raw, "_fp", None), "fp", None)
        sock = getattr(getattr(stream, "raw", None), "_sock", None)
        if not isinstance(stream, io.BufferedReader) or not isinstance(sock, socket.socket):
            return
        self._sock, self._patience = sock, sock.gettimeout()
        sock.setblocking(False)
        try:
            self._early = memoryview(stream.read(len(stream.peek())))
        except _NOTHING_YET:
            pass
        except OSError as failed:
            self._failure = failed
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)

    def fill(self, view: memoryview, cancelled: Callable[[], bool], key: str) -> int:
        """Read until `view` is full, the body ends or 0.05 s have passed; return the bytes read.

        Zero means the end. Raises OSError where the connection failed, TimeoutError where nothing came in time.
        """
        if self._left is not None:
            view = view[: self._left]
        have = 0
        tick = time.monotonic() + TICK
        while have < len(view):
            check(cancelled, key)
            try:
                n = self._read(view[have:], tick if have else time.monotonic() + self.timeout, cancelled, key)
            except OSError as failed:
                if not have:
                    raise
                self._failure = failed  # first hand over what did arrive
                break
            if n is None and not have:
                raise TimeoutError
            if not n:
                break
            have += n
            if time.monotonic() >= tick:
                break
        if self._left is not None:
            self._left -= have
        return have

    def _read(self, view: memoryview, until: float, cancelled: Callable[[], bool], key: str) -> int | None:
        """Return how many bytes came: 0 at the end, None where nothing came until then."""
        if self._early:
            n = min(len(view), len(self._early))
            view[:n], self._early = self._early[:n], self._early[n:]
            return n
        if self._failure is not None:
            raise self._failure
        if self._sock is None or self._selector is None:
            return self._read_publicly(view)
        while True:
            try:
                return self._sock.recv_into(view)
            except _NOTHING_YET:
                pass
            while not self._selector.select(min(0.1, max(0.0, until - time.monotonic()))):
                check(cancelled, key)
                if time.monotonic() >= until:
                    return None

    def _read_publicly(self, view: memoryview) -> int:
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        read = getattr(self._raw, "read1", self._raw.read)
        try:
            data = cast(bytes, read(len(view), decode_content=False))
        except ReadTimeoutError as slow:
            raise TimeoutError from slow
        except HTTPError as failed:
            raise ConnectionError(str(failed)) from failed
        view[: len(data)] = data
        return len(data)

    @property
    def complete(self) -> bool:
        """Whether the announced length has arrived (False where none was announced)."""
        return self._left == 0

    @property
    def sized(self) -> bool:
        """Whether a length was announced."""
        return self._left is not None

    def close(self) -> None:
        """Give the connection back if the whole body was read, else close it: draining it could take long."""
        if self._closed:
            return
        self._closed = True
        self._failure = None  # its traceback leads back here
        if self._selector is not None:
            self._selector.close()
        if not self.complete:
            self._response.close()
            return
        if self._sock is not None:
            self._sock.settimeout(self._patience)
        fp = getattr(self._raw, "_fp", None)
        if fp is not None:
            fp.close()  # tells http.client, past which we read, that this answer is over
        self._raw.release_conn()


def receive(
    reply: Reply, part: Part, view: memoryview, meter: Meter, cancelled: Callable[[], bool], key: str
) -> OSError | None:
    """Move a reply's body into the part file; return None when it is whole, else why the connection ended."""
    try:
        while not reply.complete:
            try:
                n = reply.fill(view, cancelled, key)
            except TimeoutError as slow:
                raise _stalled(key, part.size, meter.total, reply) from slow
            except OSError as failed:
                return failed
            if n == 0:
                return ConnectionError("the connection was closed early") if reply.sized else None
            part.write(view[:n])
            meter(part.size)
        return None
    finally:
        reply.close()


def dropped(error: BaseException | None) -> bool:
    """Whether the connection was closed after it was made and before any answer."""
    while error is not None:
        if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _stalled(key: str, have: int, total: int | None, reply: Reply) -> ServerFault:
    of = f" of {total:,}" if total is not None else ""
    return ServerFault(
        f"{key}: OSS sent nothing for {reply.timeout:g} s; {have:,}{of} bytes had arrived, none were kept.",
        request_id=reply.request_id,
        service="OSS",
        action="oss:GetObject",
        reason="the connection is open but silent",
        next_step="Try again; on ECS prefer the internal endpoint of the bucket's region.",
    )
