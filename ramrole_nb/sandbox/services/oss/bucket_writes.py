"""PutBucket and DeleteBucket.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: PutBucket, DeleteBucket; Troubleshooting, HTTP 400 and 409)
"""

from __future__ import annotations

import re
import sqlite3
import time

from ...answers import Answer
from ...errors import OssError
from ...signing import oss_v4
from . import permissions
from .bodies import small_body
from .bucket_acl import bucket_acl
from .registry import OssCall, oss_operation
from .settings import invalid
from .xml_body import MAX_XML, malformed, parse

_MAX_BUCKETS = 100  # in a region, of an account
_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
_SANDBOX_REGION = "cn-hangzhou"


@oss_operation("PutBucket", "PUT", "bucket", headers="x-oss-acl")
async def put_bucket(call: OssCall) -> Answer:
    """Create a bucket in the region whose endpoint was asked.

    Asked again for a bucket of one's own, nothing changes but an ACL that the request names: the documents have an error
    for a changed region and class of one's own bucket, none for an unchanged one.
    """
    name = call.address.bucket
    storage_class, location = await _configuration(call)
    region = call.address.region_id or _signed_region(call) or location or _SANDBOX_REGION
    if location and location != region:
        raise OssError(
            400, "InvalidLocationConstraint", "The specified location-constraint is not valid."
        )  # text ours
    acl = bucket_acl(call, default="")
    permissions.need_service(call, "oss:PutBucket", name, region)
    with call.store.transaction():
        old = call.store.one("SELECT * FROM buckets WHERE name=?", name)
        if old is not None:
            _refuse_changes(old, region, storage_class)
            if acl:
                call.store.run("UPDATE buckets SET acl=? WHERE name=?", acl, name)
            return Answer(200)
        if storage_class not in ("", "Standard"):
            raise OssError(
                501,
                "NotImplemented",
                f"The sandbox does not have buckets of the class {storage_class}, only Standard.",
            )
        have = call.store.one("SELECT count(*) AS n FROM buckets WHERE region_id=?", region)
        if have is not None and have["n"] >= _MAX_BUCKETS:
            raise OssError(400, "TooManyBuckets", "You have attempted to create more buckets than allowed.")
        created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        call.store.run(
            "INSERT INTO buckets (name, region_id, acl, storage_class, created) VALUES (?, ?, ?, 'Standard', ?)",
            name,
            region,
            acl or "private",
            created,
        )
    return Answer(200)


async def _configuration(call: OssCall) -> tuple[str, str]:
    """Return (storage class asked for, region asked for) of CreateBucketConfiguration, which may be left out."""
    data = await small_body(call, MAX_XML, malformed("the body is too large"))
    if not data:
        return "", ""
    tree = parse(data, "CreateBucketConfiguration")
    for child in tree.children:
        if child.name not in ("StorageClass", "DataRedundancyType", "LocationConstraint"):
            raise malformed(f"{child.name[:50]} is not known")
    wanted = (tree.one("StorageClass") or "").strip()
    if wanted and wanted not in _CLASSES:
        raise invalid("StorageClass", wanted, "No such bucket storage class exists.")
    redundancy = (tree.one("DataRedundancyType") or "").strip()
    if redundancy not in ("", "LRS"):
        raise OssError(501, "NotImplemented", "The sandbox does not have zone-redundant buckets, only LRS.")
    return wanted, (tree.one("LocationConstraint") or "").strip().removeprefix("oss-")


def _signed_region(call: OssCall) -> str:
    """Return the region a V4 signature names: on the sandbox's own address, which is in none (ours)."""
    sent = oss_v4.parse_authorization(call.headers.get("authorization", ""))
    region = sent.region_id if sent is not None else ""
    return region if re.fullmatch(r"[a-z]+-[a-z0-9-]+", region) else ""


def _refuse_changes(old: sqlite3.Row, region: str, storage_class: str) -> None:
    if old["region_id"] != region:
        raise OssError(409, "BucketAlreadyExists", "Bucket already exists can't modify location.")
    if storage_class and old["storage_class"] != storage_class:
        raise OssError(409, "BucketAlreadyExists", "Cannot modify existing bucket's storage class.")


@oss_operation("DeleteBucket", "DELETE", "bucket")
async def delete_bucket(call: OssCall) -> Answer:
    """Remove a bucket that holds no object and no part of an unfinished upload; its policy goes with it.

    Source: https://github.com/AlibabaCloudDocs/oss (Troubleshooting, HTTP 409: BucketNotEmpty). An upload without a part
    counts too (ours).
    """
    call.need("oss:DeleteBucket", on_object=False)
    name = call.address.bucket
    with call.store.transaction():
        for table in ("objects", "uploads"):
            if call.store.one(f"SELECT 1 FROM {table} WHERE bucket=? LIMIT 1", name):  # noqa: S608 - two names
                raise OssError(
                    409,
                    "BucketNotEmpty",
                    "The bucket you tried to delete is not empty.",
                    extra={"BucketName": name},
                )
        call.store.run("DELETE FROM bucket_policies WHERE bucket=?", name)
        call.store.run("DELETE FROM buckets WHERE name=?", name)
    return Answer(204)
