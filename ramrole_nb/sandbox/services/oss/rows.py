"""The row of an object: reading it, replacing it, describing it in headers."""

from __future__ import annotations

import email.utils
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import OssError
from . import permissions
from .registry import OssCall, no_such_key, stored_headers
from .settings import Settings, forbids_overwrite

__all__ = [
    "NewObject",
    "exists",
    "find_object",
    "object_headers",
    "refuse_overwrite",
    "save",
    "tagging_count",
]


@dataclass(frozen=True)
class NewObject:
    """What `save` writes; `body` is the name of a file that is complete."""

    body: str
    size: int
    etag: str
    crc64: str
    sha256: str
    md5: str
    kind: str
    settings: Settings


def find_object(call: OssCall) -> sqlite3.Row:
    """Return the addressed object's row, or raise NoSuchKey."""
    row = call.object()
    if row is None:
        raise no_such_key(call.address.key)
    return row


def exists() -> OssError:
    """Return the refusal of x-oss-forbid-overwrite."""
    return OssError(
        409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
    )


def refuse_overwrite(call: OssCall) -> None:
    """Raise FileAlreadyExists if the request forbids overwriting and the object is there."""
    if forbids_overwrite(call) and call.object() is not None:
        raise exists()


def save(call: OssCall, new: NewObject, within: Callable[[], list[str]] = list) -> float:
    """Write the addressed object's row and return the time of it; what it replaces is removed once that is committed.

    `within` runs in the same transaction, first; it may raise, and returns further bodies to remove.
    """
    store, now = call.store, time.time()
    with store.transaction():
        if not store.body_path(new.body).exists():  # swept away: it belonged to the world before
            raise OssError(503, "ServiceUnavailable", "The sandbox's world was reset during the upload.")
        dropped = within()
        call.fresh_bucket()  # it may have been deleted while the body came in
        refuse_overwrite(call)
        old = call.object()
        store.run(
            "INSERT OR REPLACE INTO objects (bucket, key, size, etag, crc64, sha256, md5, headers, modified,"
            " object_type, body, acl, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            call.address.bucket,
            call.address.key,
            new.size,
            new.etag,
            new.crc64,
            new.sha256,
            new.md5,
            new.settings.headers,
            now,
            new.kind,
            new.body,
            new.settings.acl,
            new.settings.tags,
        )
    for name in [*dropped, *([old["body"]] if old is not None else [])]:
        store.drop_body(name)
    return now


def object_headers(row: sqlite3.Row) -> dict[str, str]:
    """Return the headers that describe an object.

    Source: https://github.com/AlibabaCloudDocs/oss (GetObject, response headers; AppendObject for the append position)
    """
    return {
        "ETag": row["etag"],
        "Last-Modified": email.utils.formatdate(row["modified"], usegmt=True),
        **({"Content-MD5": row["md5"]} if row["object_type"] == "Normal" else {}),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": row["object_type"],
        "x-oss-storage-class": "Standard",
        "x-oss-hash-crc64ecma": row["crc64"],
        **({"x-oss-next-append-position": str(row["size"])} if row["object_type"] == "Appendable" else {}),
        **{
            name if name.startswith("x-oss-") else name.title(): value
            for name, value in stored_headers(row).items()
            if name != "content-type"
        },
    }


def tagging_count(call: OssCall, row: sqlite3.Row) -> dict[str, str]:
    """Return x-oss-tagging-count, which only a caller who may read the tags is told."""
    if row["tags"] == "{}" or not permissions.may(call, "oss:GetObjectTagging", row["key"]):
        return {}
    return {"x-oss-tagging-count": str(len(json.loads(row["tags"])))}
