"""GetObjectAcl and PutObjectAcl.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: PutObjectACL, GetObjectACL)
"""

from __future__ import annotations

from ...answers import Answer
from .bucket_acl import acl_answer
from .registry import OssCall, oss_operation
from .rows import find_object
from .settings import invalid, object_acl


@oss_operation("GetObjectAcl", "GET", "object", "acl")
async def get_object_acl(call: OssCall) -> Answer:
    """Tell an object's ACL; `default`: it has its bucket's."""
    call.need("oss:GetObjectAcl", on_object=True)
    return acl_answer(call, find_object(call)["acl"])


@oss_operation("PutObjectAcl", "PUT", "object", "acl", headers="x-oss-object-acl")
async def put_object_acl(call: OssCall) -> Answer:
    """Set an object's ACL. Ours: without the header the request is refused."""
    acl = object_acl(call, default="")
    if not acl:
        raise invalid("x-oss-object-acl", "", "no such object access control exists")
    call.need("oss:PutObjectAcl", on_object=True)
    find_object(call)
    call.store.run(
        "UPDATE objects SET acl=? WHERE bucket=? AND key=?", acl, call.address.bucket, call.address.key
    )
    return Answer(200)
