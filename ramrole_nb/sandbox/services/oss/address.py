"""Which bucket, key and region a request is for, from its host and path.

Source: https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ...errors import OssError

__all__ = ["Address", "check_key", "is_bucket_name", "is_oss_host", "locate"]

_REGIONAL = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.)?oss-(?P<region>[a-z]+-[a-z0-9-]+?)(?P<internal>-internal)?\.aliyuncs\.com"
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Address:
    """What a request addresses. `region_id` is empty on the sandbox's own address, which serves all regions."""

    bucket: str
    key: str
    region_id: str
    internal: bool
    path_style: bool


def is_bucket_name(name: str) -> bool:
    """Tell whether a bucket can have this name."""
    return _BUCKET.fullmatch(name) is not None


def is_oss_host(host: str) -> bool:
    """Tell whether a host name is one of OSS's."""
    return _REGIONAL.fullmatch(host) is not None


def locate(host: str, path: str) -> Address:
    """Split host and raw path into an address. Raises OssError for names that cannot be."""
    found = _REGIONAL.fullmatch(host)
    if found is None:
        bucket, _, raw_key = path.lstrip("/").partition("/")
        bucket = _decode(bucket)
        address = Address(bucket, _decode(raw_key), "", False, True)
    else:
        region, internal = found["region"], bool(found["internal"])
        if not found["bucket"]:
            if path not in ("", "/"):
                # The service domain takes no bucket in its path.
                raise OssError(
                    403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access."
                )
            return Address("", "", region, internal, False)
        address = Address(found["bucket"], _decode(path.removeprefix("/")), region, internal, False)
    if address.bucket and not is_bucket_name(address.bucket):
        raise OssError(
            400,
            "InvalidBucketName",
            "The specified bucket is not valid.",
            extra={"BucketName": address.bucket[:128]},
        )
    check_key(address.key)
    return address


def _decode(raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except ValueError:
        raise OssError(400, "InvalidObjectName", "The specified object is not valid.") from None


def check_key(key: str) -> None:
    """Raise InvalidObjectName for a name no object can have."""
    if len(key.encode()) > 1023:
        raise OssError(400, "InvalidObjectName", "The Length of Object name must be less than 1024.")
    if key.startswith(("/", "\\")):
        raise OssError(400, "InvalidObjectName", "The specified object is not valid.")
