"""The source of a copy: which object, may the caller read it, do the conditions hold?

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: CopyObject, UploadPartCopy)
"""

from __future__ import annotations

import sqlite3
from urllib.parse import unquote_to_bytes

from ...errors import OssError
from .address import check_key, is_bucket_name
from .conditions import holds, not_modified
from .registry import COPY_SOURCE, OssCall, no_such_key
from .settings import invalid

__all__ = ["SOURCE_HEADERS", "copy_source", "unchanged"]

SOURCE_HEADERS = (
    "x-oss-copy-source x-oss-copy-source-if-match x-oss-copy-source-if-none-match"
    " x-oss-copy-source-if-unmodified-since x-oss-copy-source-if-modified-since"
)


def copy_source(call: OssCall) -> sqlite3.Row:
    """Return the row of the object to copy from. Raises AccessDenied, NoSuchBucket, NoSuchKey, PreconditionFailed."""
    bucket, key = _names(call)
    call.need("oss:GetObject", on_object=True, bucket=bucket, key=key)
    if call.bucket(bucket)["region_id"] != call.bucket()["region_id"]:
        # "Between buckets in the same region", say the documents; code and text are ours.
        raise OssError(
            403,
            "AccessDenied",
            "Target object does not reside in the same data center as source object.",
        )
    row = call.object(key, bucket)
    if row is None:
        raise no_such_key(key)
    holds(call.headers, row, prefix=f"{COPY_SOURCE}-")
    return row


def unchanged(call: OssCall, row: sqlite3.Row) -> bool:
    """Tell whether the answer is 304: the source is still the one the caller knows."""
    return not_modified(call.headers, row, prefix=f"{COPY_SOURCE}-")


def _names(call: OssCall) -> tuple[str, str]:
    header = call.headers[COPY_SOURCE]
    path, question, _ = header.partition("?")
    if question:
        raise OssError(501, "NotImplemented", "The sandbox does not have versions of objects: ?versionId.")
    try:
        bucket, _, key = unquote_to_bytes(path.removeprefix("/")).decode().partition("/")
    except ValueError:
        bucket, key = "", ""
    if not is_bucket_name(bucket) or not key:
        raise invalid(
            COPY_SOURCE,
            header,
            "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey.",
        )
    check_key(key)
    return bucket, key
