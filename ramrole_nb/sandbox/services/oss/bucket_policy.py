"""GetBucketPolicy, PutBucketPolicy and DeleteBucketPolicy. `permissions.py` enforces what they store.

Sources: https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketpolicy (answer, NoSuchBucketPolicy),
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements (grammar),
https://help.aliyun.com/en/oss/user-guide/bucket-policy/ (acs:SourceIp needs acs:SourceVpc),
https://github.com/AlibabaCloudDocs/oss (Console User Guide, Configure bucket policies: 16 KB).
"""

from __future__ import annotations

from ....policy import MalformedPolicyDocument, PolicyDocument, parse_policy
from ...answers import Answer
from ...errors import OssError
from .bodies import small_body
from .registry import OssCall, oss_operation

_MAX_POLICY = 16 * 1024


def _invalid(why: str) -> OssError:
    """Return the refusal of a document. The documents name no code for it: this one is ours."""
    return OssError(400, "InvalidPolicyDocument", why)


@oss_operation("GetBucketPolicy", "GET", "bucket", "policy")
async def get_bucket_policy(call: OssCall) -> Answer:
    """Answer the document as it was put."""
    call.need("oss:GetBucketPolicy", on_object=False)
    text = call.bucket()["policy"]
    if text is None:
        raise OssError(
            404,
            "NoSuchBucketPolicy",
            "The specified bucket policy does not exist.",
            extra={"BucketName": call.address.bucket},
        )
    return Answer(200, text.encode(), "application/json")


@oss_operation("PutBucketPolicy", "PUT", "bucket", "policy")
async def put_bucket_policy(call: OssCall) -> Answer:
    """Store a document that can be evaluated; it replaces the one before."""
    call.need("oss:PutBucketPolicy", on_object=False)
    data = await small_body(call, _MAX_POLICY, _invalid("The policy is larger than 16 KB."))
    try:
        text = data.decode()
        _check_addresses(parse_policy(text, kind="bucket"))
    except UnicodeDecodeError:
        raise _invalid("The policy is not UTF-8.") from None
    except MalformedPolicyDocument as error:
        raise _invalid(str(error)) from None
    call.fresh_bucket()
    call.store.run("INSERT OR REPLACE INTO bucket_policies VALUES (?, ?)", call.address.bucket, text)
    return Answer(200)


def _check_addresses(document: PolicyDocument) -> None:
    """Refuse a statement about source addresses that leaves the network open: required of new bucket policies."""
    for number, statement in enumerate(document.statements):
        keys = {test.key.lower() for test in statement.condition}
        if "acs:sourceip" in keys and "acs:sourcevpc" not in keys:
            raise _invalid(
                f"Statement[{number}]: a bucket policy that has acs:SourceIp must have acs:SourceVpc too."
            )


@oss_operation("DeleteBucketPolicy", "DELETE", "bucket", "policy")
async def delete_bucket_policy(call: OssCall) -> Answer:
    """Remove the policy; removing none is no error (ours)."""
    call.need("oss:DeleteBucketPolicy", on_object=False)
    call.store.run("DELETE FROM bucket_policies WHERE bucket=?", call.address.bucket)
    return Answer(204)
