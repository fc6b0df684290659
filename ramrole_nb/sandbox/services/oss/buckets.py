"""ListBuckets, GetBucketInfo, GetBucketLocation."""

from __future__ import annotations

from ...answers import Answer, xml_tree
from ...errors import OssError
from .registry import OssCall, oss_operation

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def xml_answer(text: str) -> Answer:
    """Answer an XML document."""
    return Answer(200, (_HEAD + text).encode(), "application/xml")


def integer_param(call: OssCall, name: str, default: int, *, low: int = 1, high: int = 1000) -> int:
    """Return an integer parameter in its limits, or raise InvalidArgument."""
    text = call.param(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise OssError(
            400,
            "InvalidArgument",
            f"Argument {name} must be an integer between {low} and {high}.",
            extra={"ArgumentName": name, "ArgumentValue": text[:100]},
        )
    return int(text)


def owner(call: OssCall) -> dict[str, str]:
    """Return the Owner element: the account."""
    return {"ID": call.store.account_id, "DisplayName": call.store.account_id}


@oss_operation("ListBuckets", "GET", "service", params="prefix marker max-keys")
async def list_buckets(call: OssCall) -> Answer:
    """List the account's buckets by name, all regions, a page at a time."""
    call.need_service("oss:ListBuckets")
    prefix, marker = call.param("prefix"), call.param("marker")
    size = integer_param(call, "max-keys", 100)
    rows = [
        row
        for row in call.store.all("SELECT * FROM buckets WHERE name > ? ORDER BY name", marker)
        if row["name"].startswith(prefix)
    ]
    shown = rows[:size]
    listed = [
        {
            "CreationDate": row["created"],
            "ExtranetEndpoint": f"oss-{row['region_id']}.aliyuncs.com",
            "IntranetEndpoint": f"oss-{row['region_id']}-internal.aliyuncs.com",
            "Location": f"oss-{row['region_id']}",
            "Name": row["name"],
            "Region": row["region_id"],
            "StorageClass": row["storage_class"],
        }
        for row in shown
    ]
    truncated = len(rows) > size
    return xml_answer(
        xml_tree(
            "ListAllMyBucketsResult",
            {
                "Prefix": prefix,
                "Marker": marker,
                "MaxKeys": size,
                "IsTruncated": truncated,
                "NextMarker": shown[-1]["name"] if truncated else None,
                "Owner": owner(call),
                "Buckets": {"Bucket": listed},
            },
        )
    )


@oss_operation("GetBucketInfo", "GET", "bucket", "bucketInfo")
async def get_bucket_info(call: OssCall) -> Answer:
    """Describe a bucket."""
    call.need("oss:GetBucketInfo", on_object=False)
    row = call.bucket()
    region = row["region_id"]
    return xml_answer(
        xml_tree(
            "BucketInfo",
            {
                "Bucket": {
                    "CreationDate": row["created"],
                    "ExtranetEndpoint": f"oss-{region}.aliyuncs.com",
                    "IntranetEndpoint": f"oss-{region}-internal.aliyuncs.com",
                    "Location": f"oss-{region}",
                    "StorageClass": row["storage_class"],
                    "TransferAcceleration": "Disabled",
                    "CrossRegionReplication": "Disabled",
                    "DataRedundancyType": "LRS",
                    "Name": row["name"],
                    "Owner": owner(call),
                    "AccessControlList": {"Grant": row["acl"]},
                }
            },
        )
    )


@oss_operation("GetBucketLocation", "GET", "bucket", "location")
async def get_bucket_location(call: OssCall) -> Answer:
    """Tell a bucket's region."""
    call.need("oss:GetBucketLocation", on_object=False)
    location = f"oss-{call.bucket()['region_id']}"
    # The documentation's sample has a namespace; the service sends none: ali-oss's own tests against it expect the
    # bare text, which its parser gives only then (https://github.com/ali-sdk/ali-oss, test/node/bucket.test.js).
    return xml_answer(f"<LocationConstraint>{location}</LocationConstraint>")
