"""OSS signature version 1 (HMAC-SHA1), in a header or in a presigned URL.

Source: https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

__all__ = ["SUBRESOURCES", "canonical_resource", "parse_authorization", "sign", "string_to_sign"]

# The parameters that select another resource or change the answer; only these are signed. The set is the one
# oss2 2.19.1 signs: a server that knew fewer would refuse its requests.
SUBRESOURCES = frozenset(
    [
        "response-content-type",
        "response-content-language",
        "response-cache-control",
        "response-content-encoding",
        "response-expires",
        "response-content-disposition",
        "logging",
        "acl",
        "uploadId",
        "uploads",
        "partNumber",
        "group",
        "link",
        "delete",
        "website",
        "location",
        "objectInfo",
        "objectMeta",
        "cors",
        "lifecycle",
        "restore",
        "qos",
        "referer",
        "stat",
        "bucketInfo",
        "append",
        "position",
        "security-token",
        "live",
        "comp",
        "status",
        "vod",
        "startTime",
        "endTime",
        "x-oss-process",
        "symlink",
        "callback",
        "callback-var",
        "tagging",
        "encryption",
        "versions",
        "versioning",
        "versionId",
        "policy",
        "requestPayment",
        "x-oss-traffic-limit",
        "qosInfo",
        "asyncFetch",
        "x-oss-request-payer",
        "sequential",
        "inventory",
        "inventoryId",
        "continuation-token",
        "worm",
        "wormId",
        "wormExtend",
        "replication",
        "replicationLocation",
        "replicationProgress",
        "transferAcceleration",
        "cname",
        "metaQuery",
        "x-oss-ac-source-ip",
        "x-oss-ac-subnet-mask",
        "x-oss-ac-vpc-id",
        "x-oss-ac-forward-allow",
        "resourceGroup",
        "style",
        "styleName",
        "x-oss-async-process",
        "regionList",
        "accessPoint",
        "accessPointPolicy",
        "publicAccessBlock",
        "httpsConfig",
        "x-oss-write-get-object-response",
        "policyStatus",
        "img",
        "crc64",
        "img_process_option",
        "rtmp",
        "cacheControl",
        "udfName",
        "udf",
        "udfImage",
        "udfId",
        "udfImageDesc",
        "udfApplication",
        "udfApplicationLog",
        "metaData",
        "objectWorm",
    ]
)

_AUTHORIZATION = re.compile(r"OSS ([^:\s]+):([0-9A-Za-z+/=]+)")


def parse_authorization(header: str) -> tuple[str, str] | None:
    """Return (access key id, signature), or None if the header is not of this scheme's form."""
    found = _AUTHORIZATION.fullmatch(header.strip())
    return (found[1], found[2]) if found else None


def canonical_resource(bucket: str, key: str, query: Iterable[tuple[str, str | None]]) -> str:
    """Return `/bucket/key?subresources`, not URL-encoded; `/` for the service, `/bucket/` for a bucket."""
    resource = f"/{bucket}/{key}" if bucket else "/"
    subs = sorted((name, value) for name, value in query if name in SUBRESOURCES)
    if subs:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in subs)
    return resource


def string_to_sign(method: str, headers: Mapping[str, str], date_line: str, resource: str) -> str:
    """Build the string to sign; `headers` maps lower-case names to values, `date_line` is Date or Expires."""
    oss_headers = "".join(f"{n}:{headers[n].strip()}\n" for n in sorted(headers) if n.startswith("x-oss-"))
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    return f"{method.upper()}\n{md5}\n{kind}\n{date_line}\n{oss_headers}{resource}"


def sign(secret: str, text: str) -> str:
    """Return the base64 signature."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
