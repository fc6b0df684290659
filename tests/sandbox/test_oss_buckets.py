"""PutBucket, DeleteBucket, bucket ACL and policy, object ACL, GetBucketStat; and what an anonymous caller may read.

Sources: https://github.com/AlibabaCloudDocs/oss (API Reference), facts/oss.md §4, facts/policy.md §1 and §4.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import oss2
import pytest

from tests.sandbox.drive import Drive, curl, document
from tests.sandbox.oss_help import (
    anonymous,
    denied,
    error_of,
    read_answers,  # noqa: F401 - a fixture
    refuses,
    request,
    uid,
)

PHOTO = "testfolder/example.png"
NEW = "my-new-bucket"
READ_ACTIONS = ["oss:GetObject", "oss:ListObjects"]


def rule(
    effect: str, action: Any, principal: Any, resource: Any = "acs:oss:*:*:sandbox-photos/*", **more: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Principal": principal, "Resource": resource, **more}


# -- PutBucket and DeleteBucket ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_a_bucket_comes_and_goes(drive: Drive, version: str) -> None:
    bucket = drive.bucket(name=NEW, region="cn-hangzhou", version=version)
    refuses(lambda: bucket.put_object("k", b""), 404, "NoSuchBucket")
    assert bucket.create_bucket().status == 200
    info = bucket.get_bucket_info()
    assert (info.name, info.location, info.acl.grant, info.storage_class) == (
        NEW,
        "oss-cn-hangzhou",
        "private",
        "Standard",
    )
    assert NEW in [b.name for b in oss2.BucketIterator(drive.service())]
    bucket.put_object("k", b"x")
    refuses(bucket.delete_bucket, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty.")
    bucket.delete_object("k")
    upload_id = bucket.init_multipart_upload("k").upload_id
    refuses(bucket.delete_bucket, 409, "BucketNotEmpty")
    bucket.abort_multipart_upload("k", upload_id)
    assert bucket.delete_bucket().status == 204
    refuses(bucket.delete_bucket, 404, "NoSuchBucket")


def test_create_settings(drive: Drive) -> None:
    bucket = drive.bucket(name=NEW)
    bucket.create_bucket("public-read", oss2.models.BucketCreateConfig("Standard", "LRS"))
    assert bucket.get_bucket_acl().acl == "public-read"
    assert bucket.create_bucket().status == 200, "again, and nothing changes"
    assert bucket.get_bucket_acl().acl == "public-read"
    config = oss2.models.BucketCreateConfig
    refuses(
        lambda: bucket.create_bucket(input=config("IA")), 409, "BucketAlreadyExists",
        "Cannot modify existing bucket's storage class.",
    )  # fmt: skip
    elsewhere = drive.bucket(name=NEW, region="cn-hangzhou")
    refuses(
        elsewhere.create_bucket, 409, "BucketAlreadyExists", "Bucket already exists can't modify location."
    )
    other = drive.bucket(name="my-other-bucket")
    refuses(
        lambda: other.create_bucket("secret"), 400, "InvalidArgument", "no such bucket access control exists"
    )
    refuses(
        lambda: other.create_bucket(input=config("Hot")),
        400,
        "InvalidArgument",
        "No such bucket storage class exists.",
    )
    refuses(lambda: other.create_bucket(input=config("Archive")), 501, "NotImplemented")
    refuses(lambda: other.create_bucket(input=config("Standard", "ZRS")), 501, "NotImplemented")
    for name in ("x-oss-hns-status", "x-oss-resource-group-id"):
        assert request(other, "PUT", headers={name: "enabled"}).status_code == 501
    assert request(other, "PUT", data="<Wrong/>").status_code == 400
    refuses(other.get_bucket_info, 404, "NoSuchBucket")


def test_too_many_buckets(drive: Drive) -> None:
    """100 in a region; another region has its own count."""
    have = sum(b["region_id"] == "cn-beijing" for b in drive.sandbox.start_line["buckets"])
    for number in range(100 - have):
        drive.bucket(name=f"many-{number}").create_bucket()
    text = "You have attempted to create more buckets than allowed."
    refuses(drive.bucket(name="one-more").create_bucket, 400, "TooManyBuckets", text)
    assert drive.bucket(name="one-more", region="cn-hangzhou").create_bucket().status == 200


def test_bucket_permissions(drive: Drive) -> None:
    who = drive.session("AliyunOSSReadOnlyAccess")
    bucket = drive.bucket(who)
    for call, action in (
        (drive.bucket(who, name=NEW).create_bucket, "oss:PutBucket"),
        (bucket.delete_bucket, "oss:DeleteBucket"),
        (lambda: bucket.put_bucket_acl("private"), "oss:PutBucketAcl"),
        (lambda: bucket.put_bucket_policy("{}"), "oss:PutBucketPolicy"),
        (bucket.delete_bucket_policy, "oss:DeleteBucketPolicy"),
        (lambda: bucket.put_object_acl(PHOTO, "private"), "oss:PutObjectAcl"),
    ):
        assert f"<AuthAction>{action}</AuthAction>".encode() in denied(call).body
    assert bucket.get_bucket_acl().acl == "private"
    assert bucket.get_object_acl(PHOTO).acl == "default"


def test_bucket_stat(drive: Drive) -> None:
    bucket = drive.bucket(name=NEW)
    bucket.create_bucket()
    bucket.put_object("a", b"12345")
    bucket.put_object("b", b"123")
    bucket.init_multipart_upload("c")
    stat = bucket.get_bucket_stat()
    assert (stat.storage_size_in_bytes, stat.object_count, stat.multi_part_upload_count) == (8, 2, 1)
    assert (stat.standard_storage, stat.standard_object_count, stat.archive_storage) == (8, 2, 0)


# -- ACLs ----------------------------------------------------------------------------------------------------------


def test_bucket_acl(drive: Drive) -> None:
    bucket, nobody = drive.bucket(), anonymous(drive)
    denied(lambda: nobody.get_object(PHOTO))
    bucket.put_bucket_acl("public-read")
    assert bucket.get_bucket_acl().acl == "public-read"
    assert nobody.get_object(PHOTO).read() == bucket.get_object(PHOTO).read()
    assert nobody.head_object(PHOTO).status == 200
    denied(nobody.list_objects_v2)
    denied(lambda: nobody.put_object("k", b""))
    denied(lambda: nobody.put_bucket_acl("private"))
    bucket.put_bucket_acl("public-read-write")
    nobody.put_object("k", b"anyone")
    nobody.append_object("log", 0, b"x")
    nobody.copy_object("sandbox-photos", "k", "copy")
    nobody.batch_delete_objects(["k", "log", "copy"])
    refuses(
        lambda: bucket.put_bucket_acl("secret"),
        400,
        "InvalidArgument",
        "no such bucket access control exists",
    )
    answer = request(bucket, "PUT", query={"acl": ""})
    assert answer.status_code == 400, "ours: the header is required"


def test_object_acl(drive: Drive) -> None:
    """An object's own ACL goes before its bucket's."""
    bucket, nobody = drive.bucket(), anonymous(drive)
    assert bucket.get_object_acl(PHOTO).acl == "default"
    bucket.put_object_acl(PHOTO, "public-read")
    assert bucket.get_object_acl(PHOTO).acl == "public-read"
    assert nobody.get_object(PHOTO).read()
    denied(lambda: nobody.put_object(PHOTO, b""))
    bucket.put_object("open", b"x", headers={"x-oss-object-acl": "public-read-write"})
    nobody.put_object("open", b"y")
    denied(lambda: nobody.get_object("open")), "overwritten without an ACL: default again"
    bucket.put_bucket_acl("public-read")
    bucket.put_object("shut", b"x", headers={"x-oss-object-acl": "private"})
    denied(lambda: nobody.get_object("shut"))
    assert nobody.get_object("open").read() == b"y"
    text = "no such object access control exists"
    refuses(lambda: bucket.put_object_acl(PHOTO, "secret"), 400, "InvalidArgument", text)
    refuses(
        lambda: bucket.put_object("k", b"", headers={"x-oss-object-acl": "secret"}),
        400,
        "InvalidArgument",
        text,
    )
    refuses(lambda: bucket.get_object_acl("nokey"), 404, "NoSuchKey")
    refuses(lambda: bucket.put_object_acl("nokey", "private"), 404, "NoSuchKey")


def test_object_acl_at_every_way_of_writing(drive: Drive) -> None:
    bucket, acl = drive.bucket(), {"x-oss-object-acl": "public-read"}
    bucket.append_object("a", 0, b"x", headers=acl)
    bucket.copy_object("sandbox-photos", PHOTO, "c", headers=acl)
    upload_id = bucket.init_multipart_upload("m", headers=acl).upload_id
    bucket.upload_part("m", upload_id, 1, b"x")
    bucket.complete_multipart_upload("m", upload_id, None, headers={"x-oss-complete-all": "yes"})
    bucket.copy_object("sandbox-photos", "c", "d")
    assert [bucket.get_object_acl(k).acl for k in "acmd"] == ["public-read"] * 3 + ["default"]


def test_an_acl_never_beats_a_deny(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object_acl(PHOTO, "public-read")
    who = drive.session(document(("Deny", "oss:GetObject", "*")))
    error = denied(lambda: drive.bucket(who).get_object(PHOTO))
    assert error.ec == "0003-00000201"


def test_anonymous_overrides_are_refused(drive: Drive) -> None:
    drive.bucket().put_object_acl(PHOTO, "public-read")
    url = f"http://sandbox-photos.oss-cn-beijing.aliyuncs.com/{PHOTO}?response-content-type=text/plain"
    answer = curl(url, proxy=drive.url)
    assert (answer.status, error_of(answer)["Code"]) == (400, "InvalidRequest")


# -- bucket policy -------------------------------------------------------------------------------------------------


def test_bucket_policy_comes_and_goes(drive: Drive) -> None:
    bucket = drive.bucket()
    refuses(
        bucket.get_bucket_policy, 404, "NoSuchBucketPolicy", "The specified bucket policy does not exist."
    )
    text = document(rule("Allow", ["oss:GetObject"], ["*"]))
    assert bucket.put_bucket_policy(text).status == 200
    got = bucket.get_bucket_policy()
    assert got.policy == text
    assert got.headers["Content-Type"] == "application/json"
    assert bucket.delete_bucket_policy().status == 204
    refuses(bucket.get_bucket_policy, 404, "NoSuchBucketPolicy")
    assert bucket.delete_bucket_policy().status == 204, "ours: deleting none is no error"


def test_malformed_bucket_policies(drive: Drive) -> None:
    bucket = drive.bucket()
    statement = rule("Allow", "oss:GetObject", "*")
    for text in (
        "", "{", "[]", "{}", json.dumps({"Version": "1"}), json.dumps({"Version": "2", "Statement": [statement]}),
        document({k: v for k, v in statement.items() if k != "Principal"}),
        document(rule("Permit", "oss:GetObject", "*")),
        "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ):  # fmt: skip
        error = refuses(functools.partial(bucket.put_bucket_policy, text), 400, "InvalidPolicyDocument")
        assert error.message
    big = document(
        rule("Allow", "oss:GetObject", "*", [f"acs:oss:*:*:sandbox-photos/{n:0100d}" for n in range(200)])
    )
    refuses(lambda: bucket.put_bucket_policy(big), 400, "InvalidPolicyDocument")
    wrong = request(
        bucket, "PUT", query={"policy": ""}, headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, data=b"{}"
    )
    assert (wrong.status_code, "InvalidDigest" in wrong.text) == (400, True)
    refuses(bucket.get_bucket_policy, 404, "NoSuchBucketPolicy")


def test_bucket_policy_grants(drive: Drive) -> None:
    """facts/policy.md §4: identity and bucket policies together; an Allow in one of them is enough."""
    viewer = drive.bucket("viewer")
    denied(lambda: viewer.get_object(PHOTO))
    drive.bucket().put_bucket_policy(document(
        rule("Allow", "oss:GetObject", [uid(drive, "viewer")]),
        rule("Allow", "oss:ListObjects", [uid(drive, "viewer")], "acs:oss:*:*:sandbox-photos"),
    ))  # fmt: skip
    assert viewer.get_object(PHOTO).read()
    assert viewer.list_objects_v2().object_list
    denied(lambda: viewer.put_object("k", b""))
    drive.bucket().delete_bucket_policy()
    denied(lambda: viewer.get_object(PHOTO))


def test_bucket_policy_denies(drive: Drive) -> None:
    """An explicit Deny wins over every Allow, the administrator's too."""
    admin = drive.bucket()
    admin.put_bucket_policy(document(rule("Deny", "oss:GetObject", [uid(drive, "admin")])))
    error = denied(lambda: admin.get_object(PHOTO))
    assert (error.message, error.ec) == ("Access denied by bucket policy.", "0003-00000201")
    assert b"<PolicyType>ResourceBasedPolicy</PolicyType>" in error.body
    admin.delete_bucket_policy()
    assert admin.get_object(PHOTO).read()


def test_bucket_policy_for_everyone(drive: Drive) -> None:
    """`*` is everyone, an anonymous caller too; conditions count."""
    nobody, admin = anonymous(drive), drive.bucket()
    below = {"StringLike": {"oss:Prefix": ["test*"]}}
    admin.put_bucket_policy(document(
        rule("Allow", "oss:GetObject", ["*"]),
        rule("Allow", "oss:ListObjects", ["*"], "acs:oss:*:*:sandbox-photos", Condition=below),
    ))  # fmt: skip
    assert nobody.get_object(PHOTO).read()
    assert nobody.list_objects_v2(prefix="testfolder/").object_list
    denied(nobody.list_objects_v2)
    admin.put_bucket_acl("public-read")
    elsewhere = {"NotIpAddress": {"acs:SourceIp": ["10.0.0.1"]}}
    lone = document(rule("Deny", "oss:GetObject", ["*"], Condition=elsewhere))
    error = refuses(lambda: admin.put_bucket_policy(lone), 400, "InvalidPolicyDocument")
    assert "acs:SourceVpc" in error.message, "https://help.aliyun.com/en/oss/user-guide/bucket-policy/"
    both = {**elsewhere, "StringNotEquals": {"acs:SourceVpc": ["vpc-x"]}}
    assert (
        admin.put_bucket_policy(document(rule("Deny", "oss:GetObject", ["*"], Condition=both))).status == 200
    )
    plain = {"Bool": {"acs:SecureTransport": ["false"]}}
    admin.put_bucket_policy(document(rule("Deny", "oss:GetObject", ["*"], Condition=plain)))
    denied(lambda: nobody.get_object(PHOTO))


def test_bucket_policy_for_a_role_session(drive: Drive) -> None:
    """A role session by its session ARN (arn:sts::…); a session policy still limits it."""
    who = drive.session()
    bucket = drive.bucket(who)
    denied(lambda: bucket.get_object(PHOTO))
    me = drive.sts(who).get_caller_identity().body.arn.replace("acs:ram::", "arn:sts::")
    for name in (me, me.rpartition("/")[0] + "/*", "arn:sts::*:*/*/*"):
        drive.bucket().put_bucket_policy(document(rule("Allow", "oss:GetObject", [name])))
        assert bucket.get_object(PHOTO).read()
        denied(lambda: drive.bucket("viewer").get_object(PHOTO))
    drive.bucket().put_bucket_policy(document(rule("Allow", "oss:GetObject", [me + "x", "arn:sts::1:*/*/*"])))
    denied(lambda: bucket.get_object(PHOTO))


def test_a_session_policy_limits_a_bucket_policy(drive: Drive) -> None:
    """Its denial has an EC of its own: https://alibabacloud.com/help/en/oss/support/0003-00000301."""
    who = drive.session(session_policy=document(("Allow", "oss:ListObjects", "*")))
    drive.bucket().put_bucket_policy(document(rule("Allow", "oss:GetObject", ["*"])))
    error = denied(lambda: drive.bucket(who).get_object(PHOTO))
    assert (error.message, error.ec) == ("Access denied by authorizer's policy.", "0003-00000301")


def test_bucket_policy_goes_with_its_bucket(drive: Drive) -> None:
    bucket = drive.bucket(name=NEW)
    bucket.create_bucket()
    bucket.put_bucket_policy(document(rule("Allow", "oss:GetObject", ["*"], f"acs:oss:*:*:{NEW}/*")))
    bucket.delete_bucket()
    bucket.create_bucket()
    refuses(bucket.get_bucket_policy, 404, "NoSuchBucketPolicy")
