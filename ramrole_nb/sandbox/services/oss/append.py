"""AppendObject.

What is appended arrives in a file of its own and is then written behind the object, beyond the size that its row says; the
row follows. A kill in between leaves a tail that the next append overwrites and no reader is sent.
Source: https://github.com/AlibabaCloudDocs/oss (API Reference: AppendObject; Troubleshooting, HTTP 409)
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
import time
import weakref
from pathlib import Path

from fastcrc import crc64

from ...answers import Answer, oss_error
from ...errors import OssError
from . import bodies
from .registry import OssCall, oss_operation
from .rows import NewObject, save
from .settings import WRITE_HEADERS, Settings, invalid, need_write, settings

_MAX = 5 * 1024**3
_PIECE = 1024 * 1024
# One at a time behind each object.
_locks: weakref.WeakValueDictionary[tuple[Path, str, str], asyncio.Lock] = weakref.WeakValueDictionary()


@oss_operation("AppendObject", "POST", "object", "append&position", headers=WRITE_HEADERS)
async def append_object(call: OssCall) -> Answer:
    """Append to an appendable object, or create one."""
    bodies.check_length(call)
    position, made = _position(call), settings(call)
    need_write(call, made)
    row = call.object()
    try:
        _check(call, row, position)
        where = (call.store.folder, call.address.bucket, call.address.key)
        async with bodies.receive(call) as body, _locks.setdefault(where, asyncio.Lock()):
            row = call.object()
            size = _check(call, row, position)
            if size + body.size > _MAX:
                raise bodies.too_large()
            if row is None:
                etag, crc = body.etag, body.crc
                save(call, _first(body, made))
            else:
                etag, crc = await _behind(call, row, body)
    except _WrongPositionError as error:
        return _refused(call, error)
    return Answer(
        200,
        b"",
        "",
        {"ETag": etag, "x-oss-hash-crc64ecma": str(crc), "x-oss-next-append-position": str(size + body.size)},
    )


class _WrongPositionError(OssError):
    def __init__(self, size: int) -> None:
        super().__init__(409, "PositionNotEqualToLength", "Position is not equal to file length.")
        self.size = size


def _refused(call: OssCall, error: _WrongPositionError) -> Answer:
    """Answer PositionNotEqualToLength, which names the position in a header."""
    ex = call.exchange
    ex.note(error=error.code, message=error.message)
    answer = oss_error(error, ex.request_id, ex.host_header, head=False)
    answer.headers["x-oss-next-append-position"] = str(error.size)
    return answer


def _position(call: OssCall) -> int:
    text = call.param("position")
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise invalid(
            "position", text, "The position must be an integer not less than 0."
        )  # the text is ours
    return int(text)


def _check(call: OssCall, row: sqlite3.Row | None, position: int) -> int:
    """Return the object's length, or raise."""
    if row is not None and row["object_type"] != "Appendable":
        raise OssError(409, "ObjectNotAppendable", "The object is not appendable.")
    size = row["size"] if row is not None else 0
    if position != size:
        raise _WrongPositionError(size)
    if row is not None and any(name.startswith("x-oss-meta-") for name in call.headers):
        # "Cannot be included in the requests when you append to an existing append object"; the text is ours.
        raise invalid("x-oss-meta-*", "", "User metadata can be given only when an append object is created.")
    return int(size)


def _first(body: bodies.Body, made: Settings) -> NewObject:
    return NewObject(
        body.path.name, body.size, body.etag, str(body.crc), body.sha256, body.md5, "Appendable", made
    )


async def _behind(call: OssCall, row: sqlite3.Row, body: bodies.Body) -> tuple[str, int]:
    """Write a body behind an object and return (ETag, CRC). The ETag is no MD5; it only differs each time, as OSS's does."""
    target = call.store.body_path(row["body"])
    try:
        crc = await bodies.in_thread(lambda: _write_behind(target, row["size"], body.path, int(row["crc64"])))
    except FileNotFoundError:
        body.check_there()
        raise _replaced(call) from None
    known = hashlib.md5((row["etag"] + body.etag).encode(), usedforsecurity=False)
    etag = f'"{known.hexdigest().upper()}"'
    changed = call.store.run(
        "UPDATE objects SET size=?, etag=?, crc64=?, sha256='', md5='', modified=?"
        " WHERE bucket=? AND key=? AND body=? AND size=?",
        row["size"] + body.size,
        etag,
        str(crc),
        time.time(),
        call.address.bucket,
        call.address.key,
        row["body"],
        row["size"],
    )
    if not changed:
        raise _replaced(call)
    body.path.unlink(missing_ok=True)
    return etag, crc


def _replaced(call: OssCall) -> _WrongPositionError:
    """Return the refusal for an object that was replaced or deleted while it was written to."""
    now = call.object()
    return _WrongPositionError(now["size"] if now is not None else 0)


def _write_behind(target: Path, size: int, source: Path, crc: int) -> int:
    with open(target, "r+b") as file, open(source, "rb") as more:
        file.truncate(size)  # a tail that a killed run left
        file.seek(size)
        shutil.copyfileobj(more, file, _PIECE)
        more.seek(0)
        while piece := more.read(_PIECE):
            crc = crc64.xz(piece, crc)
    return crc
