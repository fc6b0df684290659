"""What a request that makes an object says about it beside the content: headers to keep, user metadata, ACL, tags.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: PutObject, PutObjectTagging; Troubleshooting, HTTP 400).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ...errors import OssError
from .registry import OssCall

__all__ = [
    "OBJECT_ACLS",
    "WRITE_HEADERS",
    "Settings",
    "checked_tags",
    "forbids_overwrite",
    "invalid",
    "need_write",
    "object_acl",
    "settings",
]

#: The headers of every operation that makes an object.
WRITE_HEADERS = "x-oss-object-acl x-oss-storage-class x-oss-tagging x-oss-meta-*"

OBJECT_ACLS = ("default", "private", "public-read", "public-read-write")
_STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
_KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_MAX_META = 8 * 1024
_MAX_TAGS = 10
_TAG = re.compile(r"[\w +\-=.:/]*")  # letters of any script: what "letters" means is documented nowhere
_BAD_TAG_HEADER = (
    "The header 'x-oss-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
    "without tag name duplicates."
)


@dataclass(frozen=True)
class Settings:
    """Columns of the row to be: `headers` and `tags` are JSON."""

    headers: str
    acl: str
    tags: str


def settings(call: OssCall) -> Settings:
    """Return what the request says, checked. Raises OssError."""
    check_storage_class(call.headers)
    return Settings(json.dumps(kept_headers(call.headers)), object_acl(call), json.dumps(header_tags(call)))


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that stay with an object: five of HTTP's, and the user's metadata."""
    kept = {name: headers[name] for name in _KEPT if name in headers}
    meta = {name: value.strip() for name, value in headers.items() if name.startswith("x-oss-meta-")}
    for name in meta:
        if not re.fullmatch(r"x-oss-meta-[a-z0-9-]+", name):
            # Documented: hyphens, digits and letters, nothing else. Code and text are ours.
            raise invalid(name, "", f"The name of the user metadata {name[:100]} is not valid.")
    if sum(len(name) + len(value.encode()) for name, value in meta.items()) > _MAX_META:
        raise invalid("x-oss-meta-*", "", "The total size of user metadata must not exceed 8 KB.")
    return kept | meta


def check_storage_class(headers: Mapping[str, str]) -> None:
    """Raise unless the storage class is Standard, the only one there is here."""
    wanted = headers.get("x-oss-storage-class", "Standard")
    if wanted not in _STORAGE_CLASSES:
        raise invalid(
            "x-oss-storage-class", wanted, "no such object storage class exists"
        )  # the text is ours
    if wanted != "Standard":
        raise OssError(
            501, "NotImplemented", f"The sandbox does not have the storage class {wanted}, only Standard."
        )


def object_acl(call: OssCall, default: str = "default") -> str:
    """Return x-oss-object-acl. The text of its refusal is the bucket's with the other word."""
    acl = call.headers.get("x-oss-object-acl", default)
    if acl not in OBJECT_ACLS:
        raise invalid("x-oss-object-acl", acl, "no such object access control exists")
    return acl


def header_tags(call: OssCall) -> dict[str, str]:
    """Return the tags of x-oss-tagging."""
    header = call.headers.get("x-oss-tagging", "")
    pairs = []
    try:
        for part in header.split("&") if header else ():
            name, _, value = part.partition("=")
            pairs.append(tuple(unquote_to_bytes(text.replace("+", " ")).decode() for text in (name, value)))
    except ValueError:
        raise invalid("x-oss-tagging", header, _BAD_TAG_HEADER) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise invalid("x-oss-tagging", header, _BAD_TAG_HEADER)
    return checked_tags(pairs)


def checked_tags(pairs: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return tags as a dict, or raise: at most 10, 128 and 256 bytes, no key twice."""
    tags: dict[str, str] = {}
    for name, value in pairs:
        if not 1 <= len(name.encode()) <= 128 or not _TAG.fullmatch(name):
            raise OssError(400, "InvalidTag", "The TagKey you have provided is invalid.")
        if len(value.encode()) > 256 or not _TAG.fullmatch(value):
            raise OssError(400, "InvalidTag", "The TagValue you have provided is invalid.")
        if name in tags:
            raise OssError(400, "RepeatedTags", "Tag keys must be unique.")
        tags[name] = value
    if len(tags) > _MAX_TAGS:
        # The limit is documented; code and text are ours.
        raise OssError(400, "BadRequest", "Object tags cannot be greater than 10.")
    return tags


def tag_context(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the condition keys of tags a request sends."""
    return {f"oss:RequestObjectTag/{name}": value for name, value in tags.items()}


def need_write(call: OssCall, made: Settings) -> None:
    """Raise AccessDenied unless the caller may write this object with these tags.

    Tags in an upload need oss:PutObjectTagging too. Source: https://help.aliyun.com/en/oss/developer-reference/configure-object-tagging-3
    """
    tags: dict[str, str] = json.loads(made.tags)
    context = tag_context(tags)
    call.need("oss:PutObject", on_object=True, context=context)
    if tags:
        call.need("oss:PutObjectTagging", on_object=True, context=context)


def forbids_overwrite(call: OssCall) -> bool:
    """Tell whether the request may not replace an object."""
    return call.headers.get("x-oss-forbid-overwrite", "").lower() == "true"


def invalid(name: str, value: str, message: str) -> OssError:
    """Return an InvalidArgument that names its argument."""
    return OssError(
        400,
        "InvalidArgument",
        message,
        extra={"ArgumentName": name, "ArgumentValue": value[:100]},
    )
