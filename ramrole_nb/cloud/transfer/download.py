"""One object down: verified, and never half-written.

What OSS's own SDK gets wrong here and this module does not: its `get_object_to_file` opens the target before
it asks (a 403 empties an existing file), leaves a corrupt file in place, and moves the body in 16 KiB
pieces.

The signing, the addresses and the errors are oss2's: `oss2.exceptions.*` leave these functions as they are. Sources:
https://www.alibabacloud.com/help/en/oss/developer-reference/getobject,
https://www.alibabacloud.com/help/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, IntegrityError
from .common import Cancel, Meter, Progress, as_callable, check, own_settings, pause, read_timeout
from .reply import Reply, dropped, receive
from .target import Part, choose_target, need_room

if TYPE_CHECKING:
    import oss2

_RESUMES = 3


@dataclass(frozen=True)
class DownloadResult:
    """A finished download.

    `path` is absolute; `size` in bytes; `crc64` the decimal CRC64 of what is on disk; `verified` says what
    was compared with OSS's word: `length and CRC64`, `length only`, `CRC64 only` or `nothing`; `resumed`
    counts how often the connection was lost and taken up again.
    """

    path: Path
    size: int
    crc64: str
    etag: str
    request_id: str
    seconds: float
    verified: str
    resumed: int = 0


def download(
    bucket: oss2.Bucket,
    key: str,
    to: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    chunk: int = 1 << 20,
    fsync: bool = False,
) -> DownloadResult:
    """Download one object to a file; the file appears whole and verified, or not at all.

    Parameters: `to` a file, an existing folder, or None (the key's last part in the working folder);
    `overwrite` lets an existing file be replaced; `progress(done, total)` is called in bytes at most 20
    times a second and once at the end (`total` None: OSS told no length; what it raises stops the download);
    `cancel` an event, or a callable that answers True, is looked at ten times a second once the body flows;
    `chunk` the buffer in bytes; `fsync` also waits for the disk (off: after a power cut the file may be
    missing, as with any program that does not ask for it).

    The body goes to `.<name>.<random>.part` beside the target, its length and CRC64 (x-oss-hash-crc64ecma)
    are compared, then it takes the target's name in one step. An object stored with a Content-Encoding is
    saved as stored. A connection lost midway is taken up at the same byte (Range + If-Match) up to three
    times; an object that changed meanwhile is fetched again from the start, once.

    Raises InputError (bad `to`, or the file exists; before any request), IntegrityError (incomplete or
    altered), ServerFault (nothing arrived for the read timeout), Cancelled, and oss2.exceptions.* untouched.
    Source: https://www.alibabacloud.com/help/en/oss/developer-reference/getobject
    """
    from oss2.exceptions import RequestError, ServerError

    started = time.monotonic()
    cancelled = as_callable(cancel)
    target = choose_target(key, to, overwrite)
    if chunk < 1:
        raise InputError(f"chunk={chunk} is no buffer size.", next_step="Use bytes, such as 1048576.")
    ours = own_settings(bucket)
    view = memoryview(bytearray(chunk))

    with Part(target) as part:

        def ask(etag: str = "") -> Reply:
            check(cancelled, key)
            # identity: requests would otherwise accept gzip, and the CRC64 is that of the stored bytes.
            headers = {"Accept-Encoding": "identity"}
            if etag:
                # Without `standard`, OSS answers 200 and the whole object to a range it cannot satisfy.
                headers |= {
                    "Range": f"bytes={part.size}-",
                    "If-Match": etag,
                    "x-oss-range-behavior": "standard",
                }
            return Reply(ours.get_object(key, headers=headers), read_timeout(ours))

        try:
            reply = ask()
        except RequestError as lost:
            if not dropped(lost):
                raise
            reply = ask()  # a kept-alive connection the server had already closed
        first = reply  # whose length, ETag and CRC64 count
        resumed, changed = 0, False
        try:
            need_room(target, first.total)
            meter = Meter(progress, first.total)
            trouble: Exception | None = receive(reply, part, view, meter, cancelled, key)
            while trouble is not None:
                if resumed == _RESUMES or not first.etag or first.total is None:
                    raise _incomplete(key, part.size, first, resumed) from trouble
                resumed += 1
                pause(0.2 * 2 ** (resumed - 1), cancelled, key)
                try:
                    reply = ask(first.etag)
                except RequestError as lost:
                    trouble = lost
                    continue
                except ServerError as refused:
                    if refused.status not in (412, 416):
                        raise
                    reply = ask()
                if reply.status == 206:
                    if (reply.start, reply.total) != (part.size, first.total):
                        raise _wrong_range(key, part.size, first, reply)
                else:  # the whole object: it changed, or the range was ignored
                    if reply.etag != first.etag:
                        if changed:
                            raise _changing(key)
                        changed = True
                    part.restart()
                    first = reply
                    meter.total = first.total
                trouble = receive(reply, part, view, meter, cancelled, key)
        finally:
            reply.close()

        if first.crc and str(part.crc) != first.crc:
            raise IntegrityError(
                f"{key}: the {part.size:,} bytes that arrived are not what OSS stored.",
                reason=f"CRC64 here {part.crc}, OSS says {first.crc} (request id {first.request_id})",
                next_step="Download it again; if it stays so, something on the way alters the data.",
            )
        meter.last(part.size)  # before the file appears: what it raises still stops the download
        part.commit(overwrite=overwrite, fsync=fsync)
        told = [name for name, known in (("length", first.total is not None), ("CRC64", first.crc)) if known]
        verified = " and ".join(told) if len(told) == 2 else f"{told[0]} only" if told else "nothing"
        return DownloadResult(
            path=target,
            size=part.size,
            crc64=str(part.crc),
            etag=first.etag.strip('"'),
            request_id=first.request_id,
            seconds=time.monotonic() - started,
            verified=verified,
            resumed=resumed,
        )


def _incomplete(key: str, have: int, first: Reply, resumed: int) -> IntegrityError:
    tried = f" and {resumed} attempts to resume failed" if resumed else ""
    reason = f"the connection ended early{tried} (request id {first.request_id})"
    total = "an unknown number of" if first.total is None else f"{first.total:,}"
    return IntegrityError(
        f"{key}: only {have:,} of {total} bytes arrived; nothing was written.",
        reason=reason,
        next_step="Download it again; if it stays so, look for a proxy or firewall that cuts long transfers.",
    )


def _changing(key: str) -> IntegrityError:
    return IntegrityError(
        f"{key} changed on OSS, twice, while it was downloaded; nothing was written.",
        next_step="Download it again once nothing writes to it.",
    )


def _wrong_range(key: str, have: int, first: Reply, reply: Reply) -> IntegrityError:
    return IntegrityError(
        f"{key}: the server answered another range than the one asked for; nothing was written.",
        reason=f"asked from byte {have} of {first.total}, got {reply.start} of {reply.total}",
        next_step="Download it again.",
    )
