"""CompleteMultipartUpload.

Sources: https://github.com/AlibabaCloudDocs/oss (API Reference: CompleteMultipartUpload; Troubleshooting, HTTP 400). The
ETag's form, MD5 of the parts' MD5s and their number, is what clients see; the documents call it a UUID.
"""

from __future__ import annotations

import hashlib
import sqlite3
from urllib.parse import quote

from ...answers import Answer, xml_tree
from ...errors import OssError
from . import bodies
from .bodies import small_body
from .buckets import xml_answer
from .listing import encoder
from .multipart import drop_upload, find_upload
from .registry import OssCall, oss_operation
from .rows import NewObject, refuse_overwrite, save
from .settings import Settings, invalid, object_acl
from .xml_body import MAX_XML, Element, malformed, parse

_SMALLEST = 100 * 1024


@oss_operation(
    "CompleteMultipartUpload",
    "POST",
    "object",
    "uploadId",
    params="encoding-type",
    headers="x-oss-forbid-overwrite x-oss-complete-all x-oss-object-acl",
)
async def complete_multipart_upload(call: OssCall) -> Answer:
    """Make an object of parts. The upload stays as it is until the object is there, so a refusal can be mended."""
    encode = encoder(call)
    data = await small_body(call, MAX_XML, malformed("the list of parts is too large"))
    call.need("oss:PutObject", on_object=True)
    upload = find_upload(call)
    refuse_overwrite(call)
    rows = _chosen(call, upload, data)
    _check_sizes(rows)
    body = bodies.Body(call.store.new_body())
    sources = [(call.store.body_path(row["body"]), 0, row["size"]) for row in rows]
    try:
        await bodies.in_thread(lambda: bodies.join(body, sources))
        body.check_there()
        new = NewObject(
            body.path.name,
            body.size,
            _etag(rows),
            str(body.crc),
            body.sha256,
            body.md5,
            "Multipart",
            Settings(upload["headers"], object_acl(call, upload["acl"]), upload["tags"]),
        )
        save(call, new, lambda: _use_up(call, rows))
    except FileNotFoundError:
        body.path.unlink(missing_ok=True)
        find_upload(call)  # aborted or completed meanwhile: NoSuchUpload
        raise _invalid_part() from None  # a part was replaced meanwhile
    except BaseException:
        body.path.unlink(missing_ok=True)
        raise
    answer = xml_answer(
        xml_tree(
            "CompleteMultipartUploadResult",
            {
                "EncodingType": call.param("encoding-type") or None,
                "Location": _location(call),
                "Bucket": call.address.bucket,
                "Key": encode(call.address.key),
                "ETag": new.etag,
            },
        )
    )
    answer.headers |= {"ETag": new.etag, "x-oss-hash-crc64ecma": new.crc64}
    return answer


def _chosen(call: OssCall, upload: sqlite3.Row, data: bytes) -> list[sqlite3.Row]:
    """Return the parts to join, checked against the list of the request."""
    stored = call.store.all("SELECT * FROM parts WHERE upload_id=? ORDER BY number", upload["upload_id"])
    everything = call.headers.get("x-oss-complete-all", "")
    if everything:
        if everything.lower() != "yes":
            raise invalid(
                "x-oss-complete-all", everything, "x-oss-complete-all must be yes."
            )  # the text is ours
        if data:
            raise invalid("x-oss-complete-all", everything, "With x-oss-complete-all there may be no body.")
        if not stored:
            raise _invalid_part()
        return stored
    by_number = {row["number"]: row for row in stored}
    chosen: list[sqlite3.Row] = []
    for number, etag in _listed(parse(data, "CompleteMultipartUpload")):
        if not 1 <= number <= 10_000:
            raise OssError(
                400, "InvalidPartOrder", "Part number must be an integer between 1 and 10000, inclusive."
            )
        if chosen and number <= chosen[-1]["number"]:
            raise OssError(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        row = by_number.get(number)
        if row is None or row["etag"].strip('"') != etag.strip().strip('"').upper():
            raise _invalid_part(number)
        chosen.append(row)
    return chosen


def _listed(tree: Element) -> list[tuple[int, str]]:
    listed = []
    for part in tree.all("Part"):
        number, etag = part.one("PartNumber"), part.one("ETag")
        text = (number or "").strip()
        if etag is None or not text.isascii() or not text.isdigit() or len(text) > 9:
            raise malformed("a Part must have a PartNumber and an ETag")
        listed.append((int(text), etag))
    if not listed:
        raise malformed("there must be at least one Part")
    return listed


def _check_sizes(rows: list[sqlite3.Row]) -> None:
    for row in rows[:-1]:
        if row["size"] < _SMALLEST:
            raise OssError(
                400,
                "EntityTooSmall",
                "Your proposed upload smaller than the minimum allowed size.",
                extra={
                    "MinSizeAllowed": str(_SMALLEST),
                    "ProposedSize": str(row["size"]),
                    "PartNumber": str(row["number"]),
                    "ETag": row["etag"],
                },
            )


def _use_up(call: OssCall, rows: list[sqlite3.Row]) -> list[str]:
    """Remove the upload, provided that it still is what was joined."""
    upload_id = find_upload(call)["upload_id"]
    now = {r["body"] for r in call.store.all("SELECT body FROM parts WHERE upload_id=?", upload_id)}
    if not now.issuperset(row["body"] for row in rows):
        raise _invalid_part()
    return drop_upload(call, upload_id)


def _invalid_part(number: int | None = None) -> OssError:
    return OssError(
        400,
        "InvalidPart",
        "One or more of the specified parts could not be found or the specified entity tag "
        "might not have matched the part's entity tag.",
        extra={"PartNumber": str(number)} if number is not None else None,
    )


def _etag(rows: list[sqlite3.Row]) -> str:
    joined = b"".join(bytes.fromhex(row["etag"].strip('"')) for row in rows)
    digest = hashlib.md5(joined, usedforsecurity=False).hexdigest().upper()
    return f'"{digest}-{len(rows)}"'


def _location(call: OssCall) -> str:
    region = call.bucket()["region_id"]
    return f"http://{call.address.bucket}.oss-{region}.aliyuncs.com/{quote(call.address.key)}"
