"""ListObjects and ListObjectsV2."""

from __future__ import annotations

import base64
import binascii
import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ...answers import Answer, xml_tree
from ...errors import OssError
from ...store import Store
from .buckets import integer_param, owner, xml_answer
from .registry import OssCall, oss_operation


def after_all(text: str) -> str:
    """Return the smallest text greater than every one that begins with `text`; empty: there is none."""
    while text:
        code = ord(text[-1]) + 1
        if code <= 0x10FFFF:
            return text[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
        text = text[:-1]
    return ""


def walk(
    store: Store, bucket: str, *, prefix: str, delimiter: str, after: str, limit: int
) -> tuple[list[sqlite3.Row], list[str], str]:
    """Return (objects, common prefixes, last name) after the name `after`; last name empty: the list is complete."""
    found: list[sqlite3.Row] = []
    groups: list[str] = []
    last, start, inclusive = "", after, False
    if start < prefix:
        start, inclusive = prefix, True
    # A group that `after` itself names has been answered already.
    if delimiter and after.startswith(prefix) and delimiter in after[len(prefix) :]:
        cut = after.index(delimiter, len(prefix)) + len(delimiter)
        if cut == len(after):
            start, inclusive = after_all(after), True
            if not start:
                return found, groups, ""
    while True:
        sign = ">=" if inclusive else ">"
        rows = store.all(
            f"SELECT * FROM objects WHERE bucket=? AND key {sign} ? ORDER BY key LIMIT ?",  # noqa: S608 - the sign only
            bucket,
            start,
            limit + 1,
        )
        jumped = False
        for row in rows:
            key = row["key"]
            if not key.startswith(prefix):
                return found, groups, ""
            full = len(found) + len(groups) == limit
            if delimiter and delimiter in key[len(prefix) :]:
                group = key[: key.index(delimiter, len(prefix)) + len(delimiter)]
                if full:
                    return found, groups, last
                groups.append(group)
                last, start, inclusive, jumped = group, after_all(group), True, True
                if not start:
                    return found, groups, ""
                break
            if full:
                return found, groups, last
            found.append(row)
            last = key
            start, inclusive = key, False
        if not jumped and len(rows) <= limit:
            return found, groups, ""


def encoder(call: OssCall) -> Callable[[str], str]:
    """Return how names are written: as they are, or with encoding-type=url percent-encoded."""
    kind = call.param("encoding-type")
    if kind not in ("", "url"):
        raise OssError(400, "InvalidArgument", "Argument encoding-type only supports url.")
    return (lambda text: quote(text, safe="")) if kind else (lambda text: text)


def _contents(
    rows: list[sqlite3.Row], encode: Callable[[str], str], who: dict[str, str] | None
) -> list[dict[str, Any]]:
    return [
        {
            "Key": encode(row["key"]),
            "LastModified": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(row["modified"])),
            "ETag": row["etag"],
            "Type": row["object_type"],
            "Size": row["size"],
            "StorageClass": "Standard",
            "Owner": who,
        }
        for row in rows
    ]


def _need_list(call: OssCall) -> None:
    context = {"oss:Prefix": call.param("prefix"), "oss:Delimiter": call.param("delimiter")}
    call.need("oss:ListObjects", on_object=False, context=context)


@oss_operation("ListObjects", "GET", "bucket", params="prefix delimiter marker max-keys encoding-type")
async def list_objects(call: OssCall) -> Answer:
    """List objects after `marker`."""
    _need_list(call)
    encode = encoder(call)
    prefix, delimiter, marker = call.param("prefix"), call.param("delimiter"), call.param("marker")
    size = integer_param(call, "max-keys", 100)
    rows, groups, last = walk(
        call.store, call.address.bucket, prefix=prefix, delimiter=delimiter, after=marker, limit=size
    )
    return xml_answer(
        xml_tree(
            "ListBucketResult",
            {
                "Name": call.address.bucket,
                "Prefix": encode(prefix),
                "Marker": encode(marker),
                "MaxKeys": size,
                "Delimiter": encode(delimiter),
                "EncodingType": call.param("encoding-type") or None,
                "IsTruncated": bool(last),
                "NextMarker": encode(last) if last else None,
                "Contents": _contents(rows, encode, owner(call)),
                "CommonPrefixes": [{"Prefix": encode(group)} for group in groups],
            },
        )
    )


@oss_operation(
    "ListObjectsV2",
    "GET",
    "bucket",
    "list-type=2",
    params="prefix delimiter max-keys encoding-type start-after continuation-token fetch-owner",
)
async def list_objects_v2(call: OssCall) -> Answer:
    """List objects after `continuation-token` or `start-after`."""
    _need_list(call)
    encode = encoder(call)
    prefix, delimiter, start_after = call.param("prefix"), call.param("delimiter"), call.param("start-after")
    size = integer_param(call, "max-keys", 100)
    token = call.param("continuation-token")
    after = _open_token(token) if token else start_after
    rows, groups, last = walk(
        call.store, call.address.bucket, prefix=prefix, delimiter=delimiter, after=after, limit=size
    )
    who = owner(call) if call.param("fetch-owner").lower() == "true" else None
    return xml_answer(
        xml_tree(
            "ListBucketResult",
            {
                "Name": call.address.bucket,
                "Prefix": encode(prefix),
                "StartAfter": encode(start_after),
                "MaxKeys": size,
                "Delimiter": encode(delimiter),
                "EncodingType": call.param("encoding-type") or None,
                "IsTruncated": bool(last),
                "ContinuationToken": token or None,
                "NextContinuationToken": base64.urlsafe_b64encode(last.encode()).decode() if last else None,
                "KeyCount": len(rows) + len(groups),
                "Contents": _contents(rows, encode, who),
                "CommonPrefixes": [{"Prefix": encode(group)} for group in groups],
            },
        )
    )


def _open_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise OssError(
            400,
            "InvalidArgument",
            "The continuation token provided is incorrect.",
            extra={"ArgumentName": "continuation-token"},
        ) from None
