"""GetObject, HeadObject, GetObjectMeta, PutObject, DeleteObject."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping

from ...answers import Answer, FileBody
from ...errors import OssError
from . import bodies, rows
from .conditions import holds, not_modified
from .ranges import pick
from .registry import OssCall, oss_operation, stored_headers
from .rows import find_object, object_headers
from .settings import WRITE_HEADERS, need_write, settings

_OVERRIDES = ("type", "language", "expires", "cache-control", "disposition", "encoding")
_CONDITIONS = "if-match if-none-match if-modified-since if-unmodified-since"


def check_conditions(headers: Mapping[str, str], row: sqlite3.Row) -> bool:
    """Raise PreconditionFailed where a condition does not hold; return True where the answer is 304."""
    holds(headers, row)
    return not_modified(headers, row)


@oss_operation(
    "GetObject",
    "GET",
    "object",
    params="response-content-type response-content-language response-expires response-cache-control"
    " response-content-disposition response-content-encoding",
    headers=f"x-oss-range-behavior {_CONDITIONS}",
)
async def get_object(call: OssCall) -> Answer:
    """Send an object, or the range asked for."""
    call.need("oss:GetObject", on_object=True)
    row = find_object(call)
    headers = object_headers(row) | rows.tagging_count(call, row)
    if check_conditions(call.headers, row):
        return Answer(304, b"", "", {k: headers[k] for k in ("ETag", "Last-Modified")})
    kind = stored_headers(row).get("content-type", "application/octet-stream")
    for name in _OVERRIDES:
        value = call.param(f"response-content-{name}") or call.param(f"response-{name}")
        if not value:
            continue
        if call.exchange.principal is None:
            raise OssError(400, "InvalidRequest", "Anonymous requests cannot override response headers.")
        if not re.fullmatch(r"[^\x00-\x1f\x7f]*", value):
            raise OssError(400, "InvalidArgument", f"The override of {name} is not a header value.")
        if name == "type":
            kind = value
        else:
            headers[
                {"expires": "Expires", "cache-control": "Cache-Control"}.get(name, f"Content-{name}".title())
            ] = value
    size, status, offset, count = row["size"], 200, 0, row["size"]
    if "range" in call.headers:
        standard = call.headers.get("x-oss-range-behavior", "").lower() == "standard"
        chosen = pick(call.headers["range"], size, standard=standard)
        if chosen is not None:
            status, offset, count = 206, chosen[0], chosen[1] - chosen[0] + 1
            headers["Content-Range"] = f"bytes {chosen[0]}-{chosen[1]}/{size}"
            headers.pop("Content-MD5", None)
    return Answer(status, FileBody(call.store.body_path(row["body"]), offset, count), kind, headers)


@oss_operation("HeadObject", "HEAD", "object", headers=_CONDITIONS)
async def head_object(call: OssCall) -> Answer:
    """Describe an object."""
    call.need("oss:GetObject", on_object=True)
    row = find_object(call)
    headers = object_headers(row) | rows.tagging_count(call, row)
    if check_conditions(call.headers, row):
        return Answer(304, b"", "", {k: headers[k] for k in ("ETag", "Last-Modified")})
    kind = stored_headers(row).get("content-type", "application/octet-stream")
    return Answer(200, FileBody(call.store.body_path(row["body"]), 0, row["size"]), kind, headers)


@oss_operation("GetObjectMeta", "HEAD", "object", "objectMeta")
async def get_object_meta(call: OssCall) -> Answer:
    """Describe an object, in few headers."""
    call.need("oss:GetObject", on_object=True)
    row = find_object(call)
    full = object_headers(row)
    kept = ("ETag", "Last-Modified", "x-oss-hash-crc64ecma")
    body = FileBody(call.store.body_path(row["body"]), 0, row["size"])
    return Answer(200, body, "", {name: full[name] for name in kept})


@oss_operation(
    "PutObject", "PUT", "object", headers=f"x-oss-forbid-overwrite x-oss-hash-crc64ecma {WRITE_HEADERS}"
)
async def put_object(call: OssCall) -> Answer:
    """Store an object whole: the body first, then its row, so a broken upload leaves the old object as it was."""
    bodies.check_length(call)
    made = settings(call)
    need_write(call, made)
    rows.refuse_overwrite(call)
    async with bodies.receive(call) as body:
        new = rows.NewObject(
            body.path.name, body.size, body.etag, str(body.crc), body.sha256, body.md5, "Normal", made
        )
        rows.save(call, new)
    headers = {"ETag": new.etag, "x-oss-hash-crc64ecma": new.crc64, "Content-MD5": new.md5}
    return Answer(200, b"", "", headers)


@oss_operation("DeleteObject", "DELETE", "object")
async def delete_object(call: OssCall) -> Answer:
    """Remove an object; removing what is not there is no error."""
    call.need("oss:DeleteObject", on_object=True)
    where = (call.address.bucket, call.address.key)
    row = call.store.one("SELECT body FROM objects WHERE bucket=? AND key=?", *where)
    if row is not None:
        call.store.run("DELETE FROM objects WHERE bucket=? AND key=?", *where)
        call.store.drop_body(row["body"])
    return Answer(204)
