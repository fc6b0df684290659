"""GetObject, HeadObject, GetObjectMeta, PutObject, DeleteObject."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Mapping

from fastcrc import crc64

from ...answers import Answer, FileBody
from ...errors import OssError
from ...exchange import http_date
from .ranges import pick
from .registry import OssCall, oss_operation, stored_headers

MAX_PUT = 5 * 1024**3
_OVERRIDES = ("type", "language", "expires", "cache-control", "disposition", "encoding")
# The x-oss-* headers of an upload that mean something here; any other (a copy's source, an ACL, tags) is refused.
_PUT_HEADERS = frozenset(
    ["x-oss-content-sha256", "x-oss-date", "x-oss-forbid-overwrite", "x-oss-security-token"]
)
_PUT_DEFAULTS = frozenset([("x-oss-storage-class", "Standard"), ("x-oss-object-acl", "default")])
_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)


def find_object(call: OssCall) -> sqlite3.Row:
    """Return the object's row, or raise NoSuchKey."""
    row = call.store.one(
        "SELECT * FROM objects WHERE bucket=? AND key=?", call.address.bucket, call.address.key
    )
    if row is None:
        raise OssError(
            404,
            "NoSuchKey",
            "The specified key does not exist.",
            ec="0026-00000001",
            extra={"Key": call.address.key},
        )
    return row


def object_headers(row: sqlite3.Row) -> dict[str, str]:
    """Return the headers that describe an object.

    Source: https://github.com/AlibabaCloudDocs/oss (GetObject, response headers)
    """
    return {
        "ETag": row["etag"],
        "Last-Modified": email.utils.formatdate(row["modified"], usegmt=True),
        "Content-MD5": row["md5"],
        "Accept-Ranges": "bytes",
        "x-oss-object-type": row["object_type"],
        "x-oss-storage-class": "Standard",
        "x-oss-hash-crc64ecma": row["crc64"],
        **{
            name if name.startswith("x-oss-") else name.title(): value
            for name, value in stored_headers(row).items()
            if name != "content-type"
        },
    }


def check_conditions(headers: Mapping[str, str], row: sqlite3.Row) -> bool:
    """Raise PreconditionFailed where a condition does not hold; return True where the answer is 304."""
    etag, modified = row["etag"].strip('"'), int(row["modified"])

    def named(header: str) -> set[str]:
        return {part.strip().strip('"').upper() for part in headers[header].split(",")}

    def moment(header: str) -> float | None:
        return http_date(headers.get(header, ""))

    until = moment("if-unmodified-since")
    if ("if-match" in headers and etag not in named("if-match")) or (until is not None and modified > until):
        raise OssError(
            412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold."
        )
    if "if-none-match" in headers:
        return etag in named("if-none-match")
    since = moment("if-modified-since")
    return since is not None and modified <= since


def _refuse_unmodelled(call: OssCall) -> None:
    if "x-oss-multi-range-behavior" in call.headers:
        raise OssError(501, "NotImplemented", "The sandbox does not have x-oss-multi-range-behavior.")


@oss_operation("GetObject", "GET", "object")
async def get_object(call: OssCall) -> Answer:
    """Send an object, or the range asked for."""
    _refuse_unmodelled(call)
    call.need("oss:GetObject", on_object=True)
    row = find_object(call)
    headers = object_headers(row)
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
            del headers["Content-MD5"]
    return Answer(status, FileBody(call.store.body_path(row["body"]), offset, count), kind, headers)


@oss_operation("HeadObject", "HEAD", "object")
async def head_object(call: OssCall) -> Answer:
    """Describe an object."""
    call.need("oss:GetObject", on_object=True)
    row = find_object(call)
    headers = object_headers(row)
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


def _check_put(call: OssCall) -> int:
    length = call.headers.get("content-length")
    chunked = "chunked" in call.headers.get("transfer-encoding", "").lower()
    if length is None and not chunked:
        raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    if length is not None and int(length) > MAX_PUT:
        raise OssError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
    for name, value in call.headers.items():
        modelled = name in _PUT_HEADERS or name.startswith("x-oss-meta-") or (name, value) in _PUT_DEFAULTS
        if name.startswith("x-oss-") and not modelled:
            raise OssError(
                501,
                "NotImplemented",
                f"The sandbox does not have the header {name} here. It is not modelled.",
            )
    return int(length) if length is not None else -1


@oss_operation("PutObject", "PUT", "object")
async def put_object(call: OssCall) -> Answer:
    """Store an object whole: the body first, then its row, so a broken upload leaves the old object as it was."""
    length = _check_put(call)
    call.need("oss:PutObject", on_object=True)
    store, bucket, key = call.store, call.address.bucket, call.address.key
    old = store.one("SELECT body FROM objects WHERE bucket=? AND key=?", bucket, key)
    forbid = call.headers.get("x-oss-forbid-overwrite", "").lower() == "true"
    if old is not None and forbid:
        raise _exists()
    path = store.new_body()
    md5, sha256, crc, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0, 0
    try:
        with open(path, "xb") as file:  # noqa: ASYNC230 - a local file, written in small pieces
            async for chunk in call.exchange.stream_body():
                size += len(chunk)
                if size > MAX_PUT:
                    raise OssError(
                        400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."
                    )
                file.write(chunk)
                md5.update(chunk)
                sha256.update(chunk)
                crc = crc64.xz(bytes(chunk), crc)
        if length >= 0 and size != length:
            raise OssError(400, "IncompleteBody", "The body is shorter than Content-Length said.")
        digest = base64.b64encode(md5.digest()).decode()
        sent = call.headers.get("content-md5", "")
        if sent and sent != digest:
            raise OssError(
                400,
                "InvalidDigest",
                "The Content-MD5 you specified was invalid.",
                extra={"ExpectedDigest": sent[:64], "CalculatedDigest": digest},
            )
        kept = {n: call.headers[n] for n in _KEPT if n in call.headers}
        kept |= {n: v for n, v in call.headers.items() if n.startswith("x-oss-meta-")}
        row = (size, f'"{md5.hexdigest().upper()}"', str(crc), sha256.hexdigest(), digest, json.dumps(kept))
        with store.transaction():
            if not path.exists():  # swept away: it belonged to the world before
                raise OssError(503, "ServiceUnavailable", "The sandbox's world was reset during the upload.")
            old = store.one("SELECT body FROM objects WHERE bucket=? AND key=?", bucket, key)
            if old is not None and forbid:
                raise _exists()
            store.run(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'Normal', ?)",
                bucket,
                key,
                *row,
                time.time(),
                path.name,
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if old is not None:
        store.drop_body(old["body"])
    headers = {"ETag": row[1], "x-oss-hash-crc64ecma": row[2], "Content-MD5": digest}
    return Answer(200, b"", "", headers)


def _exists() -> OssError:
    return OssError(
        409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
    )


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
