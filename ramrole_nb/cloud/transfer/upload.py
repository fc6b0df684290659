"""One object up, with a single PutObject.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ...errors import InputError, IntegrityError
from .common import MAX_PUT, Cancel, Meter, Progress, as_callable, check, check_key, own_settings
from .source import Source, guess_type

if TYPE_CHECKING:
    import oss2


@dataclass(frozen=True)
class UploadResult:
    """A finished upload. `size` in bytes; `verified` is `CRC64`, or `nothing` where OSS told no CRC64."""

    key: str
    size: int
    crc64: str
    etag: str
    request_id: str
    seconds: float
    verified: str


def upload(
    bucket: oss2.Bucket,
    key: str,
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    overwrite: bool = True,
    content_type: str | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> UploadResult:
    """Upload one object with a single PutObject and compare its CRC64 with what OSS stored.

    Parameters: `source` a path (str is a path), bytes, or a file open for reading bytes, read from where it
    stands; `overwrite=False` makes OSS refuse an existing object (409 FileAlreadyExists); `content_type`
    None: guessed from the names; `progress(done, total)` in bytes, at most 20 times a second and once at the
    end; `cancel` as in `download` (a cancelled upload stores nothing).

    Raises InputError (no such file, not bytes, over 5 GB; before any request), IntegrityError (the source
    changed while it was read, or OSS stored other bytes: then the object at `key` is suspect), Cancelled,
    and oss2.exceptions.* untouched. Source:
    https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
    """
    started = time.monotonic()
    cancelled = as_callable(cancel)
    check(cancelled, key)
    check_key(key)
    ours = own_settings(bucket)
    with Source(source, cancelled, key) as body:
        if body.size > MAX_PUT:
            raise InputError(
                f"{key}: {body.size:,} bytes are more than one PutObject takes.",
                reason="the limit is 5 GB",
                next_step="Use oss2.resumable_upload, which sends the object in parts.",
            )
        headers = {"Content-Type": content_type or guess_type(key, body.name)}
        if not overwrite:
            headers["x-oss-forbid-overwrite"] = "true"
        body.meter = meter = Meter(progress, body.size)
        # requests would send an empty iterable chunked.
        result = ours.put_object(key, body if body.size else b"", headers=headers)
        stored = str(result.headers.get("x-oss-hash-crc64ecma", ""))
        if stored and stored != str(body.crc):
            raise IntegrityError(
                f"OSS stored other bytes than were sent; the object oss://{ours.bucket_name}/{key} is suspect.",
                reason=f"CRC64 of the source {body.crc}, OSS says {stored} (request id {result.request_id})",
                next_step="Upload it again, or delete it; do not use it as it is.",
            )
        meter.last(body.size)
        return UploadResult(
            key=key,
            size=body.size,
            crc64=str(body.crc),
            etag=str(result.etag or "").strip('"'),
            request_id=str(result.request_id),
            seconds=time.monotonic() - started,
            verified="CRC64" if stored else "nothing",
        )
