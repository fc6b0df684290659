"""GetBucketStat. The real service's numbers lag by an hour or more; here they are exact (ours).

Source: https://help.aliyun.com/en/oss/developer-reference/getbucketstat and oss2's parser of it
"""

from __future__ import annotations

from ...answers import Answer, xml_tree
from .buckets import xml_answer
from .registry import OssCall, oss_operation

_OTHER_CLASSES = ("InfrequentAccess", "Archive", "ColdArchive")


@oss_operation("GetBucketStat", "GET", "bucket", "stat")
async def get_bucket_stat(call: OssCall) -> Answer:
    """Count a bucket's objects, bytes and unfinished uploads."""
    call.need("oss:GetBucketStat", on_object=False)
    name = call.address.bucket
    found = call.store.one(
        "SELECT count(*) AS n, coalesce(sum(size), 0) AS size, coalesce(max(modified), 0) AS modified"
        " FROM objects WHERE bucket=?",
        name,
    )
    uploads = call.store.one("SELECT count(*) AS n FROM uploads WHERE bucket=?", name)
    objects, size, modified = tuple(found) if found is not None else (0, 0, 0)
    stat: dict[str, object] = {
        "Storage": size,
        "ObjectCount": objects,
        "MultipartUploadCount": uploads["n"] if uploads is not None else 0,
        "LiveChannelCount": 0,
        "LastModifiedTime": int(modified),
        "StandardStorage": size,
        "StandardObjectCount": objects,
    }
    for kind in _OTHER_CLASSES:
        stat |= {f"{kind}Storage": 0, f"{kind}RealStorage": 0, f"{kind}ObjectCount": 0}
    return xml_answer(xml_tree("BucketStat", stat))
