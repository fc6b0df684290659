"""ListParts and ListMultipartUploads.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: ListParts, ListMultipartUploads)
"""

from __future__ import annotations

import sqlite3
import time

from ...answers import Answer, xml_tree
from .buckets import integer_param, xml_answer
from .listing import encoder
from .multipart import find_upload
from .registry import OssCall, oss_operation


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))


@oss_operation("ListParts", "GET", "object", "uploadId", params="max-parts part-number-marker encoding-type")
async def list_parts(call: OssCall) -> Answer:
    """List an upload's parts by number."""
    call.need("oss:ListParts", on_object=True)
    encode = encoder(call)
    size = integer_param(call, "max-parts", 1000)
    marker = integer_param(call, "part-number-marker", 0, low=0, high=10_000)
    upload_id = find_upload(call)["upload_id"]
    rows = call.store.all(
        "SELECT * FROM parts WHERE upload_id=? AND number > ? ORDER BY number LIMIT ?",
        upload_id,
        marker,
        size + 1,
    )
    shown = rows[:size]
    return xml_answer(
        xml_tree(
            "ListPartsResult",
            {
                "EncodingType": call.param("encoding-type") or None,
                "Bucket": call.address.bucket,
                "Key": encode(call.address.key),
                "UploadId": upload_id,
                "StorageClass": "Standard",
                "PartNumberMarker": marker,
                "NextPartNumberMarker": shown[-1]["number"] if shown else "",
                "MaxParts": size,
                "IsTruncated": len(rows) > size,
                "Part": [
                    {
                        "PartNumber": row["number"],
                        "LastModified": _stamp(row["modified"]),
                        "ETag": row["etag"],
                        "Size": row["size"],
                    }
                    for row in shown
                ],
            },
        )
    )


@oss_operation(
    "ListMultipartUploads",
    "GET",
    "bucket",
    "uploads",
    params="prefix delimiter max-uploads key-marker upload-id-marker encoding-type",
)
async def list_multipart_uploads(call: OssCall) -> Answer:
    """List a bucket's unfinished uploads by name, then id; both markers together say where to go on."""
    prefix, delimiter = call.param("prefix"), call.param("delimiter")
    call.need("oss:ListMultipartUploads", on_object=False)
    encode = encoder(call)
    size = integer_param(call, "max-uploads", 1000)
    key_marker = call.param("key-marker")
    id_marker = (
        call.param("upload-id-marker") if key_marker else ""
    )  # ignored without the other, as documented
    entries = _entries(_after(call, prefix, key_marker, id_marker), prefix, delimiter, key_marker)
    shown = entries[:size]
    truncated = len(entries) > size
    next_key, next_id = "", ""
    if truncated:
        last = shown[-1]
        next_key, next_id = (last, "") if isinstance(last, str) else (last["key"], last["upload_id"])
    uploads = [
        {"Key": encode(e["key"]), "UploadId": e["upload_id"], "Initiated": _stamp(e["initiated"])}
        for e in shown
        if not isinstance(e, str)
    ]
    return xml_answer(
        xml_tree(
            "ListMultipartUploadsResult",
            {
                "EncodingType": call.param("encoding-type") or None,
                "Bucket": call.address.bucket,
                "KeyMarker": encode(key_marker),
                "UploadIdMarker": id_marker,
                "NextKeyMarker": encode(next_key),
                "NextUploadIdMarker": next_id,
                "Delimiter": encode(delimiter),
                "Prefix": encode(prefix),
                "MaxUploads": size,
                "IsTruncated": truncated,
                "Upload": uploads,
                "CommonPrefixes": [{"Prefix": encode(e)} for e in shown if isinstance(e, str)],
            },
        )
    )


def _after(call: OssCall, prefix: str, key_marker: str, id_marker: str) -> list[sqlite3.Row]:
    """Return the uploads with the prefix that come after the markers."""
    rows = call.store.all(
        "SELECT * FROM uploads WHERE bucket=? AND key >= ? ORDER BY key, upload_id",
        call.address.bucket,
        max(prefix, key_marker),
    )
    return [
        row
        for row in rows
        if row["key"].startswith(prefix)
        and (row["key"] > key_marker or (id_marker and row["upload_id"] > id_marker) or not key_marker)
    ]


def _entries(
    rows: list[sqlite3.Row], prefix: str, delimiter: str, key_marker: str
) -> list[sqlite3.Row | str]:
    """Return uploads, and in place of those that share a name up to the delimiter, that name once."""
    entries: list[sqlite3.Row | str] = []
    done = ""
    for row in rows:
        key = row["key"]
        if delimiter and delimiter in key[len(prefix) :]:
            group = key[: key.index(delimiter, len(prefix)) + len(delimiter)]
            if group not in (done, key_marker):
                entries.append(group)
            done = group
        else:
            entries.append(row)
    return entries
