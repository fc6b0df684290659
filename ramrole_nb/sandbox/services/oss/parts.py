"""UploadPart and UploadPartCopy.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: UploadPart, UploadPartCopy)
"""

from __future__ import annotations

import time

from ...answers import Answer, xml_tree
from ...errors import OssError
from . import bodies
from .buckets import xml_answer
from .copy_source import SOURCE_HEADERS, copy_source, unchanged
from .multipart import find_upload
from .ranges import pick
from .registry import OssCall, no_such_key, oss_operation
from .settings import invalid

_MAX_NUMBER = 10_000


@oss_operation("UploadPart", "PUT", "object", "partNumber&uploadId", headers="x-oss-hash-crc64ecma")
async def upload_part(call: OssCall) -> Answer:
    """Store a part; one of the same number is replaced. Its size is judged only on completion."""
    bodies.check_length(call)
    number = _number(call)
    call.need("oss:PutObject", on_object=True)
    find_upload(call)
    async with bodies.receive(call) as body:
        _save(call, number, body)
    headers = {"ETag": body.etag, "Content-MD5": body.md5, "x-oss-hash-crc64ecma": str(body.crc)}
    return Answer(200, b"", "", headers)


@oss_operation(
    "UploadPartCopy",
    "PUT",
    "object",
    "partNumber&uploadId",
    copies=True,
    headers=f"{SOURCE_HEADERS} x-oss-copy-source-range",
)
async def upload_part_copy(call: OssCall) -> Answer:
    """Take a part from an object, or from a range of it; a range that does not fit copies the whole, as documented."""
    number = _number(call)
    call.need("oss:PutObject", on_object=True)
    source = copy_source(call)
    find_upload(call)
    if unchanged(call, source):
        return Answer(304, b"", "", {"ETag": source["etag"]})
    if source["object_type"] == "Appendable":
        # "Cannot be used to copy objects created by AppendObject"; the text is ours.
        raise OssError(400, "OperationNotSupported", "Append objects cannot be copied.")
    offset, count, size = 0, source["size"], source["size"]
    chosen = None
    if "x-oss-copy-source-range" in call.headers:
        chosen = pick(call.headers["x-oss-copy-source-range"], size, standard=False)
    if chosen is not None:
        offset, count = chosen[0], chosen[1] - chosen[0] + 1
    if count > bodies.MAX_PUT:
        raise bodies.too_large()
    body = bodies.Body(call.store.new_body())
    path = call.store.body_path(source["body"])
    try:
        await bodies.in_thread(lambda: bodies.join(body, [(path, offset, count)]))
        _save(call, number, body)
    except FileNotFoundError:
        body.path.unlink(missing_ok=True)
        raise no_such_key(source["key"]) from None  # deleted meanwhile
    except BaseException:
        body.path.unlink(missing_ok=True)
        raise
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(source["modified"]))
    answer = xml_answer(xml_tree("CopyPartResult", {"LastModified": stamp, "ETag": body.etag}))
    answer.headers |= {"ETag": body.etag, "x-oss-hash-crc64ecma": str(body.crc)}
    if chosen is not None:
        answer.headers["Content-Range"] = f"bytes {chosen[0]}-{chosen[1]}/{size}"
    return answer


def _number(call: OssCall) -> int:
    text = call.param("partNumber")
    if not text.isascii() or not text.isdigit() or len(text) > 5 or not 1 <= int(text) <= _MAX_NUMBER:
        raise invalid("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive.")
    return int(text)


def _save(call: OssCall, number: int, body: bodies.Body) -> None:
    store = call.store
    with store.transaction():
        body.check_there()
        upload_id = find_upload(call)["upload_id"]  # it may have been aborted or completed meanwhile
        old = store.one("SELECT body FROM parts WHERE upload_id=? AND number=?", upload_id, number)
        store.run(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
            upload_id,
            number,
            body.size,
            body.etag,
            time.time(),
            body.path.name,
        )
    if old is not None:
        store.drop_body(old["body"])
