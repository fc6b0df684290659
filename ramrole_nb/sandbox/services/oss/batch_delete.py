"""DeleteMultipleObjects.

Source: https://github.com/AlibabaCloudDocs/oss (API Reference: DeleteMultipleObjects)
"""

from __future__ import annotations

from ...answers import Answer, xml_tree
from ...errors import OssError
from .address import check_key
from .buckets import xml_answer
from .listing import encoder
from .registry import OssCall, oss_operation
from .xml_body import Element, malformed, read_xml

_MAX_KEYS = 1000
_MAX_BODY = 2 * 1024 * 1024


@oss_operation("DeleteMultipleObjects", "POST", "bucket", "delete", params="encoding-type")
async def delete_multiple_objects(call: OssCall) -> Answer:
    """Remove up to 1000 objects; a name that is not there counts as removed. Content-MD5 is a must.

    Ours: oss:DeleteObject is needed on every name, and one refusal refuses the request before anything is removed. (The
    documents speak of objects that could not be deleted, but show no element for them.)
    """
    if "content-md5" not in call.headers:
        raise OssError(
            400, "MissingArgument", "Missing Some Required Arguments.", extra={"ArgumentName": "Content-MD5"}
        )
    encode = encoder(call)
    call.bucket()
    tree = await read_xml(call, "Delete", limit=_MAX_BODY)
    keys, quiet = _keys(tree), _quiet(tree)
    for key in dict.fromkeys(keys):
        call.need("oss:DeleteObject", on_object=True, key=key)
    bodies = []
    with call.store.transaction():
        for key in keys:
            row = call.object(key)
            if row is not None:
                bodies.append(row["body"])
                call.store.run("DELETE FROM objects WHERE bucket=? AND key=?", call.address.bucket, key)
    for name in bodies:
        call.store.drop_body(name)
    if quiet:
        return Answer(200)
    return xml_answer(
        xml_tree(
            "DeleteResult",
            {
                "EncodingType": call.param("encoding-type") or None,
                "Deleted": [{"Key": encode(key)} for key in keys],
            },
        )
    )


def _keys(tree: Element) -> list[str]:
    keys = []
    for item in tree.all("Object"):
        key = item.one("Key")
        if not key:
            raise malformed("an Object must have a Key")
        if item.one("VersionId"):
            raise OssError(501, "NotImplemented", "The sandbox does not have versions of objects: VersionId.")
        check_key(key)
        keys.append(key)
    if not 1 <= len(keys) <= _MAX_KEYS:
        raise malformed(f"1 to {_MAX_KEYS} objects can be named, not {len(keys)}")
    return keys


def _quiet(tree: Element) -> bool:
    text = (tree.one("Quiet") or "false").strip().lower()
    if text not in ("true", "false"):
        raise malformed("Quiet must be true or false")
    return text == "true"
