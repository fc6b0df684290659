"""InitiateMultipartUpload and AbortMultipartUpload; and finding an upload.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference, Object operations, Multipart upload)
"""

from __future__ import annotations

import secrets
import sqlite3
import time

from ...answers import Answer, xml_tree
from ...errors import OssError
from .buckets import xml_answer
from .listing import encoder
from .registry import OssCall, oss_operation
from .rows import refuse_overwrite
from .settings import WRITE_HEADERS, need_write, settings

__all__ = ["drop_upload", "find_upload"]


@oss_operation(
    "InitiateMultipartUpload",
    "POST",
    "object",
    "uploads",
    params="encoding-type",
    headers=f"x-oss-forbid-overwrite {WRITE_HEADERS}",
)
async def initiate_multipart_upload(call: OssCall) -> Answer:
    """Begin an upload; its metadata, ACL and tags are given here. An object of that name stays as it is."""
    encode, made = encoder(call), settings(call)
    need_write(call, made)
    refuse_overwrite(call)
    now = time.time()
    # As OSS's, ids begin with the time, so that they sort by age; 32 hex digits.
    upload_id = f"{int(now * 1_000_000):016X}{secrets.token_hex(8).upper()}"
    call.store.run(
        "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
        upload_id,
        call.address.bucket,
        call.address.key,
        made.headers,
        made.acl,
        made.tags,
        now,
    )
    return xml_answer(
        xml_tree(
            "InitiateMultipartUploadResult",
            {
                "EncodingType": call.param("encoding-type") or None,
                "Bucket": call.address.bucket,
                "Key": encode(call.address.key),
                "UploadId": upload_id,
            },
        )
    )


@oss_operation("AbortMultipartUpload", "DELETE", "object", "uploadId")
async def abort_multipart_upload(call: OssCall) -> Answer:
    """End an upload and remove its parts. A part still coming in then finds no upload."""
    call.need("oss:AbortMultipartUpload", on_object=True)
    with call.store.transaction():
        names = drop_upload(call, find_upload(call)["upload_id"])
    for name in names:
        call.store.drop_body(name)
    return Answer(204)


def find_upload(call: OssCall) -> sqlite3.Row:
    """Return the upload that the request names for this object, or raise NoSuchUpload."""
    upload_id = call.param("uploadId")
    row = call.store.one(
        "SELECT * FROM uploads WHERE upload_id=? AND bucket=? AND key=?",
        upload_id,
        call.address.bucket,
        call.address.key,
    )
    if row is None:
        raise OssError(
            404,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, "
            "or the upload may have been aborted or completed.",
            extra={"UploadId": upload_id[:128]},
        )
    return row


def drop_upload(call: OssCall, upload_id: str) -> list[str]:
    """Remove an upload's rows and return the bodies to remove once that is committed."""
    names = [row["body"] for row in call.store.all("SELECT body FROM parts WHERE upload_id=?", upload_id)]
    call.store.run("DELETE FROM parts WHERE upload_id=?", upload_id)
    call.store.run("DELETE FROM uploads WHERE upload_id=?", upload_id)
    return names
