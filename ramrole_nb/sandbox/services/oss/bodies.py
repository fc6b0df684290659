"""Request bodies and stored bodies: received piece by piece into a file, joined, cut, hashed. Never whole in memory.

A body is written before its row: a broken or killed upload leaves a file no row names, which the next start sweeps.
Source of the error texts: https://github.com/AlibabaCloudDocs/oss (Troubleshooting, HTTP 400 and 411).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fastcrc import crc64

from ...errors import OssError
from ...store import Store
from .registry import OssCall

__all__ = [
    "MAX_PUT",
    "Body",
    "check_length",
    "check_md5",
    "in_thread",
    "join",
    "link",
    "receive",
    "small_body",
    "too_large",
]

MAX_PUT = 5 * 1024**3
_PIECE = 1024 * 1024

_Result = TypeVar("_Result")


@dataclass
class Body:
    """A body in a file, and the digests of it that grow with it."""

    path: Path
    size: int = 0
    crc: int = 0
    _md5: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    def update(self, piece: bytes | memoryview) -> None:
        """Take in a piece that has been written."""
        self.size += len(piece)
        self._md5.update(piece)
        self._sha256.update(piece)
        self.crc = crc64.xz(bytes(piece), self.crc)

    def check_there(self) -> None:
        """Raise ServiceUnavailable if the file was swept away: a reset of the world takes what belongs to no row."""
        if not self.path.exists():
            raise OssError(503, "ServiceUnavailable", "The sandbox's world was reset during the upload.")

    @property
    def md5(self) -> str:
        """Base64, as in Content-MD5."""
        return base64.b64encode(self._md5.digest()).decode()

    @property
    def etag(self) -> str:
        """The quoted ETag of a normal object or a part."""
        return f'"{self._md5.hexdigest().upper()}"'

    @property
    def sha256(self) -> str:
        """Hex; for our own reports."""
        return self._sha256.hexdigest()


def too_large() -> OssError:
    """Return the error for a body beyond 5 GB."""
    return OssError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")


def _announced(call: OssCall) -> int:
    """Return the length the request announces; -1: chunked."""
    length = call.headers.get("content-length")
    if length is None:
        if "chunked" not in call.headers.get("transfer-encoding", "").lower():
            raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        return -1
    if int(length) > MAX_PUT:
        raise too_large()
    return int(length)


def check_length(call: OssCall) -> None:
    """Raise for a request whose length is missing or too large, before anything else is looked at."""
    _announced(call)


def check_md5(call: OssCall, calculated: str) -> None:
    """Raise InvalidDigest unless Content-MD5, if sent, is the body's."""
    sent = call.headers.get("content-md5", "")
    if sent and sent != calculated:
        raise OssError(
            400,
            "InvalidDigest",
            "The Content-MD5 you specified was invalid.",
            extra={"ExpectedDigest": sent[:64], "CalculatedDigest": calculated},
        )


def _check_crc(call: OssCall, calculated: int) -> None:
    sent = call.headers.get("x-oss-hash-crc64ecma", "")
    if sent and sent.strip() != str(calculated):
        raise OssError(
            400, "InvalidCRC64", "The x-oss-hash-crc64ecma you specified does not match what we calculated."
        )


@contextlib.asynccontextmanager
async def receive(call: OssCall) -> AsyncIterator[Body]:
    """Write the request's body to a new file. Where the block raises, the file is removed."""
    length = _announced(call)
    body = Body(call.store.new_body())
    try:
        with open(body.path, "xb") as file:  # noqa: ASYNC230 - a local file, written in small pieces
            async for chunk in call.exchange.stream_body():
                if body.size + len(chunk) > MAX_PUT:
                    raise too_large()
                file.write(chunk)
                body.update(chunk)
        if length >= 0 and body.size != length:
            raise OssError(400, "IncompleteBody", "The body is shorter than Content-Length said.")
        check_md5(call, body.md5)
        _check_crc(call, body.crc)
        yield body
    except BaseException:
        body.path.unlink(missing_ok=True)
        raise


async def small_body(call: OssCall, limit: int, too_big: OssError) -> bytes:
    """Return a body of parameters, at most `limit` bytes of it."""
    pieces, size = [], 0
    async for chunk in call.exchange.stream_body():
        size += len(chunk)
        if size > limit:
            raise too_big
        pieces.append(bytes(chunk))
    data = b"".join(pieces)
    check_md5(call, base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode())
    return data


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Do file work beside the event loop. A request that is cancelled waits for it, so that its clean-up comes last."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise


def join(body: Body, sources: Iterable[tuple[Path, int, int]]) -> None:
    """Fill a new body from (file, offset, count) spans. Raises FileNotFoundError where one has gone meanwhile."""
    with open(body.path, "xb") as target:
        for path, offset, count in sources:
            with open(path, "rb") as source:
                source.seek(offset)
                left = count
                while left:
                    piece = source.read(min(_PIECE, left))
                    if not piece:
                        raise FileNotFoundError(path)
                    target.write(piece)
                    body.update(piece)
                    left -= len(piece)


def link(store: Store, name: str) -> Path:
    """Return another name for a stored body. Bodies only ever grow, beyond what a row says: sharing one is safe."""
    path = store.new_body()
    try:
        path.hardlink_to(store.body_path(name))
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(store.body_path(name), path)
    return path
