"""GetObjectTagging, PutObjectTagging and DeleteObjectTagging.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference, Object operations, Tagging)
"""

from __future__ import annotations

import json

from ...answers import Answer, xml_tree
from .buckets import xml_answer
from .registry import OssCall, oss_operation
from .rows import find_object
from .settings import checked_tags, tag_context
from .xml_body import malformed, read_xml


@oss_operation("GetObjectTagging", "GET", "object", "tagging")
async def get_object_tagging(call: OssCall) -> Answer:
    """Answer an object's tags."""
    call.need("oss:GetObjectTagging", on_object=True)
    tags = json.loads(find_object(call)["tags"])
    listed = [{"Key": name, "Value": value} for name, value in tags.items()]
    return xml_answer(xml_tree("Tagging", {"TagSet": {"Tag": listed}}))


@oss_operation("PutObjectTagging", "PUT", "object", "tagging")
async def put_object_tagging(call: OssCall) -> Answer:
    """Replace an object's tags; Last-Modified stays."""
    tree = await read_xml(call, "Tagging")
    sets = tree.all("TagSet")
    if len(sets) != 1:
        raise malformed("there must be one TagSet")
    pairs = []
    for tag in sets[0].all("Tag"):
        name = tag.one("Key")
        if name is None:
            raise malformed("a Tag must have a Key")
        pairs.append((name, tag.one("Value") or ""))
    tags = checked_tags(pairs)
    call.need("oss:PutObjectTagging", on_object=True, context=tag_context(tags))
    _set(call, tags)
    return Answer(200)


@oss_operation("DeleteObjectTagging", "DELETE", "object", "tagging")
async def delete_object_tagging(call: OssCall) -> Answer:
    """Remove an object's tags."""
    call.need("oss:DeleteObjectTagging", on_object=True)
    _set(call, {})
    return Answer(204)


def _set(call: OssCall, tags: dict[str, str]) -> None:
    find_object(call)
    call.store.run(
        "UPDATE objects SET tags=? WHERE bucket=? AND key=?",
        json.dumps(tags),
        call.address.bucket,
        call.address.key,
    )
