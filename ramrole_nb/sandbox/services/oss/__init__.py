"""Object Storage Service: its REST interface, bucket and object operations.

Sources: https://github.com/AlibabaCloudDocs/oss (operations, error texts), https://help.aliyun.com/en/oss/user-guide
(EC pages), https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints (addresses).
"""

from __future__ import annotations

import time

from ...answers import Answer, oss_error
from ...authenticate import Authenticator
from ...authorize import Authorizer
from ...errors import OssError
from ...exchange import Exchange, parse_query
from ...knobs import Knobs
from ...store import Store
from . import (  # each registers its operations
    append,
    batch_delete,
    bucket_acl,
    bucket_policy,
    bucket_stat,
    bucket_writes,
    buckets,
    complete,
    copying,
    listing,
    multipart,
    object_acl,
    objects,
    parts,
    tagging,
    upload_lists,
)
from .address import locate
from .registry import OssCall, find, refuse_unmodelled

__all__ = [
    "ObjectStorage",
    "append",
    "batch_delete",
    "bucket_acl",
    "bucket_policy",
    "bucket_stat",
    "bucket_writes",
    "buckets",
    "complete",
    "copying",
    "listing",
    "multipart",
    "object_acl",
    "objects",
    "parts",
    "tagging",
    "upload_lists",
]


class ObjectStorage:
    """Takes an OSS exchange to its operation and back."""

    def __init__(
        self, store: Store, knobs: Knobs, authenticator: Authenticator, authorizer: Authorizer
    ) -> None:
        self._store = store
        self._knobs = knobs
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def answer(self, ex: Exchange) -> Answer:
        """Answer one exchange, errors in OSS's own form."""
        ex.service = "Oss"
        ex.use_oss_request_id()
        try:
            address = locate(ex.host, ex.path)
            query = parse_query(ex.query)
            ex.note(bucket=address.bucket, key=address.key)
            found = find(ex.method, address, query, ex.headers)
            ex.note(operation=found.name)
            ex.principal = self._authenticator.oss(ex, address.bucket, address.key, query, address.region_id)
            refuse_unmodelled(found, ex.headers)
            self._knobs.faults.before_oss(ex, found.name, address)
            call = OssCall(found, address, query, ex, self._store, self._knobs, self._authorizer)
            answer = self._knobs.faults.after_oss(ex, found.name, await found.handler(call))
        except OssError as error:
            ex.note(error=error.code, message=error.message, ec=error.ec)
            answer = oss_error(error, ex.request_id, ex.host_header, head=ex.method == "HEAD")
        answer.headers = {
            "Server": "AliyunOSS",
            "x-oss-request-id": ex.request_id,
            "x-oss-server-time": str(int((time.perf_counter() - ex.started) * 1000)),
            **answer.headers,
        }
        return answer
