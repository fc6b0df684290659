"""CopyObject.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: CopyObject, AppendObject)
"""

from __future__ import annotations

import base64
import email.utils
import sqlite3
import time

from ...answers import Answer, xml_tree
from ...errors import OssError
from . import bodies
from .buckets import xml_answer
from .copy_source import SOURCE_HEADERS, copy_source, unchanged
from .registry import OssCall, oss_operation
from .rows import NewObject, refuse_overwrite, save
from .settings import WRITE_HEADERS, Settings, invalid, need_write, settings

#: Pages of 2025 still say 1 GB for CopyObject, SDK pages of the same year 5 GiB; the larger is what cannot refuse wrongly.
MAX_COPY = bodies.MAX_PUT


@oss_operation(
    "CopyObject",
    "PUT",
    "object",
    copies=True,
    headers=f"{SOURCE_HEADERS} x-oss-metadata-directive x-oss-tagging-directive x-oss-forbid-overwrite {WRITE_HEADERS}",
)
async def copy_object(call: OssCall) -> Answer:
    """Copy an object within a region. Needs oss:GetObject on the source and oss:PutObject on the target.

    The content is not copied but shared on disk. A copy onto itself changes metadata only, and those are the request's.
    """
    asked = settings(call)
    new_meta, new_tags = _replaces(call, "metadata"), _replaces(call, "tagging")
    source = copy_source(call)
    onto_itself = (source["bucket"], source["key"]) == (call.address.bucket, call.address.key)
    made = Settings(
        asked.headers if new_meta or onto_itself else source["headers"],
        asked.acl,
        asked.tags if new_tags else source["tags"],
    )
    need_write(call, made if new_tags else Settings(made.headers, made.acl, "{}"))
    refuse_overwrite(call)
    if unchanged(call, source):
        return Answer(304, b"", "", {"ETag": source["etag"]})
    _refuse_source(source, onto_itself=onto_itself)
    if onto_itself:
        etag = source["etag"]
        modified = _change(call, made)
    else:
        etag, modified = _copy(call, source, made)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified))
    answer = xml_answer(xml_tree("CopyObjectResult", {"ETag": etag, "LastModified": stamp}))
    answer.headers |= {
        "ETag": etag,
        "Last-Modified": email.utils.formatdate(modified, usegmt=True),
        "x-oss-hash-crc64ecma": source["crc64"],
    }
    return answer


def _replaces(call: OssCall, what: str) -> bool:
    """Tell whether a directive says Replace; without it, it is Copy."""
    name = f"x-oss-{what}-directive"
    value = call.headers.get(name, "Copy")
    if value.lower() not in ("copy", "replace"):
        raise invalid(name, value, f"The value of {name} must be Copy or Replace.")  # the text is ours
    return value.lower() == "replace"


def _refuse_source(source: sqlite3.Row, *, onto_itself: bool) -> None:
    if source["size"] > MAX_COPY:
        raise OssError(400, "EntityTooLarge", "Source object Length exceeds the maximum allowed size.")
    if source["object_type"] == "Appendable" and not onto_itself:
        # "Append objects cannot be copied by using CopyObject"; the code is UploadPartCopy's, the text ours.
        raise OssError(400, "OperationNotSupported", "Append objects cannot be copied.")


def _copy(call: OssCall, source: sqlite3.Row, made: Settings) -> tuple[str, float]:
    """Make the new object and return (ETag, time). Of a multipart object it is a normal one, its ETag the MD5 (ours)."""
    etag = source["etag"]
    if source["object_type"] != "Normal":
        etag = f'"{base64.b64decode(source["md5"]).hex().upper()}"'
    path = bodies.link(call.store, source["body"])
    try:
        new = NewObject(
            path.name, source["size"], etag, source["crc64"], source["sha256"], source["md5"], "Normal", made
        )
        return etag, save(call, new)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _change(call: OssCall, made: Settings) -> float:
    """Change an object's metadata in place, and return the time of it. An ACL not asked for stays (ours)."""
    now = time.time()
    call.store.run(
        "UPDATE objects SET headers=?, tags=?, modified=? WHERE bucket=? AND key=?",
        made.headers,
        made.tags,
        now,
        call.address.bucket,
        call.address.key,
    )
    if "x-oss-object-acl" in call.headers:
        call.store.run(
            "UPDATE objects SET acl=? WHERE bucket=? AND key=?",
            made.acl,
            call.address.bucket,
            call.address.key,
        )
    return now
