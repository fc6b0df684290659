"""GetBucketAcl and PutBucketAcl.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: PutBucketAcl, GetBucketAcl)
"""

from __future__ import annotations

from ...answers import Answer, xml_tree
from .buckets import owner, xml_answer
from .registry import OssCall, oss_operation
from .settings import invalid

__all__ = ["BUCKET_ACLS", "acl_answer", "bucket_acl"]

BUCKET_ACLS = ("private", "public-read", "public-read-write")


def bucket_acl(call: OssCall, default: str | None = None) -> str:
    """Return x-oss-acl, or raise InvalidArgument; None: there must be one."""
    acl = call.headers.get("x-oss-acl", default)
    if acl is None or (acl not in BUCKET_ACLS and acl != default):
        raise invalid("x-oss-acl", acl or "", "no such bucket access control exists")
    return acl


def acl_answer(call: OssCall, acl: str) -> Answer:
    """Answer AccessControlPolicy."""
    return xml_answer(
        xml_tree("AccessControlPolicy", {"Owner": owner(call), "AccessControlList": {"Grant": acl}})
    )


@oss_operation("GetBucketAcl", "GET", "bucket", "acl")
async def get_bucket_acl(call: OssCall) -> Answer:
    """Tell a bucket's ACL."""
    call.need("oss:GetBucketAcl", on_object=False)
    return acl_answer(call, call.bucket()["acl"])


@oss_operation("PutBucketAcl", "PUT", "bucket", "acl", headers="x-oss-acl")
async def put_bucket_acl(call: OssCall) -> Answer:
    """Set a bucket's ACL.

    Ours: without the header the request is refused (the documents say the setting "does not take effect"), and a bucket
    that is not there is not created on the way, as a document of 2021 says it was.
    """
    acl = bucket_acl(call)
    call.need("oss:PutBucketAcl", on_object=False)
    call.store.run("UPDATE buckets SET acl=? WHERE name=?", acl, call.address.bucket)
    return Answer(200)
