"""Single reading requests to OSS, made as some program would make them: its endpoint, its signature, its credential.

Unlike `objects`, nothing is put right on the way: a wrong endpoint stays wrong. Each call is over within its time-outs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..endpoints import Endpoints
from .calls import Calls
from .sdk import load

__all__ = ["SIGNATURES", "Glance", "first_byte", "first_keys", "oss_at"]

T = TypeVar("T")

SIGNATURES = ("V4", "V1")


@dataclass(frozen=True)
class Glance:
    """What one byte of an object tells: `size` of the whole in bytes, and how many of the bytes asked for came."""

    size: int
    came: int
    wanted: int


def oss_at(
    endpoints: Endpoints,
    endpoint: str,
    bucket: str,
    provider: Any,
    *,
    region_id: str,
    signature: str = "V4",
    proxy: str = "",
    timeout: tuple[float, float] = (2.0, 3.0),
) -> Any:
    """Return an oss2.Bucket at exactly this endpoint (with scheme). `timeout` in seconds: connecting, each answer."""
    oss2 = load("oss2")
    auth = oss2.ProviderAuthV4(provider) if signature == "V4" else oss2.ProviderAuth(provider)
    through = proxy or endpoints.proxy
    return oss2.Bucket(
        auth,
        endpoint,
        bucket,
        region=region_id if signature == "V4" else None,
        connect_timeout=timeout,
        enable_crc=False,
        proxies={"http": through, "https": through} if through else None,
    )


def first_byte(calls: Calls, bucket: Any, key: str) -> Glance:
    """Read the first byte of an object (oss:GetObject). Raises what the service's refusal becomes."""

    def read() -> Glance:
        answer = bucket.get_object(key, byte_range=(0, 0))
        came = len(answer.read(2))
        stated = str(answer.headers.get("Content-Range", "")).rpartition("/")[2]
        size = int(stated) if stated.isdigit() else int(answer.content_length or 0)
        return Glance(size, came, 1 if stated.isdigit() or size else 0)

    return calls.oss("GetObject", _named(bucket, key=key, range="bytes=0-0"), read)


def first_keys(calls: Calls, bucket: Any, prefix: str = "", *, limit: int = 1) -> list[str]:
    """Return the first keys below a prefix (oss:ListObjects)."""

    def read() -> list[str]:
        page = bucket.list_objects_v2(prefix=prefix, max_keys=limit)
        return [str(row.key) for row in page.object_list]

    return calls.oss("ListObjectsV2", _named(bucket, prefix=prefix), read)


def _named(bucket: Any, **more: str) -> Mapping[str, Any]:
    return {"bucket": bucket.bucket_name, **more}
