"""Object tags: Get, Put and DeleteObjectTagging, x-oss-tagging, the tag conditions; and user metadata.

Source: https://github.com/AlibabaCloudDocs/oss, API Reference, Object operations, Tagging; PutObject.
"""

from __future__ import annotations

import functools
from typing import Any

import oss2
from oss2.models import Tagging, TaggingRule

from tests.sandbox.drive import Drive, document
from tests.sandbox.oss_help import (
    denied,
    read_answers,  # noqa: F401 - a fixture
    refuses,
    request,
)

PHOTO = "testfolder/example.png"


def tags(**pairs: str) -> Tagging:
    rules = TaggingRule()
    for name, value in pairs.items():
        rules.tagging_rule[name] = value
    return Tagging(rules)


def tags_of(bucket: Any, key: str) -> dict[str, str]:
    found = bucket.get_object_tagging(key).tag_set
    return dict(found.tagging_rule) if found else {}


def test_tags_come_and_go(drive: Drive) -> None:
    """Put replaces the whole set; Last-Modified does not change; Delete answers 204."""
    bucket = drive.bucket()
    before = bucket.head_object(PHOTO)
    assert tags_of(bucket, PHOTO) == {}
    bucket.put_object_tagging(PHOTO, tags(a="1", b="two words", c=""))
    assert tags_of(bucket, PHOTO) == {"a": "1", "b": "two words", "c": ""}
    bucket.put_object_tagging(PHOTO, tags(d="+-=._:/"))
    assert tags_of(bucket, PHOTO) == {"d": "+-=._:/"}
    after = bucket.head_object(PHOTO)
    assert (after.last_modified, after.headers["x-oss-tagging-count"]) == (before.last_modified, "1")
    assert bucket.delete_object_tagging(PHOTO).status == 204
    assert tags_of(bucket, PHOTO) == {}
    assert "x-oss-tagging-count" not in bucket.head_object(PHOTO).headers
    refuses(lambda: bucket.get_object_tagging("nokey"), 404, "NoSuchKey")
    refuses(lambda: bucket.put_object_tagging("nokey", tags(a="1")), 404, "NoSuchKey")
    refuses(lambda: bucket.delete_object_tagging("nokey"), 404, "NoSuchKey")


def test_tags_at_every_way_of_writing(drive: Drive) -> None:
    bucket, header = drive.bucket(), {"x-oss-tagging": "a=1&b%20c=x%2By&d"}
    expected = {"a": "1", "b c": "x+y", "d": ""}
    bucket.put_object("p", b"x", headers=header)
    bucket.append_object("q", 0, b"x", headers=header)
    bucket.copy_object("sandbox-photos", PHOTO, "r", headers={**header, "x-oss-tagging-directive": "Replace"})
    bucket.copy_object("sandbox-photos", "p", "s")
    upload_id = bucket.init_multipart_upload("t", headers=header).upload_id
    bucket.upload_part("t", upload_id, 1, b"x")
    bucket.complete_multipart_upload("t", upload_id, None, headers={"x-oss-complete-all": "yes"})
    assert [tags_of(bucket, key) for key in "pqrst"] == [expected] * 5
    bucket.copy_object("sandbox-photos", "p", "u", headers={"x-oss-tagging": "z=1"})
    assert tags_of(bucket, "u") == expected, "the directive is Copy unless the request says Replace"
    bucket.put_object("p", b"y")
    assert tags_of(bucket, "p") == {}


def test_tag_rules(drive: Drive) -> None:
    """At most 10 tags; 128 and 256 bytes; letters, digits, spaces and + - = . _ : /; no key twice."""
    bucket = drive.bucket()

    def put(**pairs: str) -> Any:
        return bucket.put_object_tagging(PHOTO, tags(**pairs))

    put(**{str(n): "x" for n in range(10)})
    put(**{"k" * 128: "v" * 256})
    kept = tags_of(bucket, PHOTO)
    refuses(lambda: put(**{str(n): "x" for n in range(11)}), 400, "BadRequest")
    refuses(lambda: put(**{"k" * 129: "v"}), 400, "InvalidTag", "The TagKey you have provided is invalid.")
    refuses(lambda: put(k="v" * 257), 400, "InvalidTag", "The TagValue you have provided is invalid.")
    refuses(lambda: put(**{"": "v"}), 400, "InvalidTag", "The TagKey you have provided is invalid.")
    refuses(lambda: put(**{"k!": "v"}), 400, "InvalidTag", "The TagKey you have provided is invalid.")
    refuses(lambda: put(k="v?"), 400, "InvalidTag", "The TagValue you have provided is invalid.")
    twice = "<Tagging><TagSet>" + "<Tag><Key>a</Key><Value>1</Value></Tag>" * 2 + "</TagSet></Tagging>"
    answer = request(bucket, "PUT", PHOTO, query={"tagging": ""}, data=twice)
    assert (answer.status_code, "RepeatedTags" in answer.text) == (400, True)
    for body in ("", "<Tagging/>", "<Tagging><TagSet><Tag><Value>1</Value></Tag></TagSet></Tagging>"):
        answer = request(bucket, "PUT", PHOTO, query={"tagging": ""}, data=body)
        assert (answer.status_code, "MalformedXML" in answer.text) == (400, True), body
    text = (
        "The header 'x-oss-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates."
    )
    for header in ("a=1&a=2", "%FF=1"):
        refuses(
            functools.partial(bucket.put_object, "k", b"", headers={"x-oss-tagging": header}),
            400,
            "InvalidArgument",
            text,
        )
    assert tags_of(bucket, PHOTO) == kept


def test_tag_permissions(drive: Drive) -> None:
    who = drive.session(document(("Allow", ["oss:GetObject", "oss:PutObject"], "*")))
    bucket = drive.bucket(who)
    for call, action in (
        (lambda: bucket.get_object_tagging(PHOTO), "oss:GetObjectTagging"),
        (lambda: bucket.put_object_tagging(PHOTO, tags(a="1")), "oss:PutObjectTagging"),
        (lambda: bucket.delete_object_tagging(PHOTO), "oss:DeleteObjectTagging"),
        (lambda: bucket.put_object("k", b"", headers={"x-oss-tagging": "a=1"}), "oss:PutObjectTagging"),
    ):
        assert f"<AuthAction>{action}</AuthAction>".encode() in denied(call).body
    drive.bucket().put_object_tagging(PHOTO, tags(a="1"))
    assert "x-oss-tagging-count" not in bucket.head_object(PHOTO).headers, (
        "only who may read tags is told their number"
    )


def test_policies_by_tag(drive: Drive) -> None:
    """oss:ExistingObjectTag/<key> of the object asked for, oss:RequestObjectTag/<key> of the upload."""
    team_a = {"StringEquals": {"oss:RequestObjectTag/team": "a"}}
    allow = {"Effect": "Allow", "Action": "oss:*", "Resource": "*"}
    who = drive.session(document(
        {**allow, "Action": "oss:GetObject", "Condition": {"StringEquals": {"oss:ExistingObjectTag/status": "ok"}}},
        {**allow, "Action": ["oss:PutObject", "oss:PutObjectTagging"], "Condition": team_a},
    ))  # fmt: skip
    bucket, admin = drive.bucket(who), drive.bucket()
    denied(lambda: bucket.get_object(PHOTO))
    admin.put_object_tagging(PHOTO, tags(status="bad"))
    denied(lambda: bucket.get_object(PHOTO))
    admin.put_object_tagging(PHOTO, tags(status="ok"))
    assert bucket.get_object(PHOTO).read()
    denied(lambda: bucket.put_object("k", b""))
    denied(lambda: bucket.put_object("k", b"", headers={"x-oss-tagging": "team=b"}))
    assert bucket.put_object("k", b"", headers={"x-oss-tagging": "team=a"}).status == 200


def test_user_metadata(drive: Drive) -> None:
    """Kept whatever the case, at most 8 KB in all."""
    bucket = drive.bucket()
    bucket.put_object("k", b"", headers={"X-Oss-Meta-Some-Name": "some value", "x-oss-meta-b": ""})
    head = bucket.head_object("k")
    assert (head.headers["x-oss-meta-some-name"], head.headers["x-oss-meta-b"]) == ("some value", "")
    many = {f"x-oss-meta-{n}": "v" * 1000 for n in range(9)}
    refuses(lambda: bucket.put_object("k", b"", headers=many), 400, "InvalidArgument")
    refuses(lambda: bucket.put_object("k", b"", headers={"x-oss-meta-a_b": "v"}), 400, "InvalidArgument")


def test_other_conditions_on_writing_are_refused(drive: Drive) -> None:
    """If-Match and its kin are documented for reading only: on a write they are refused, not ignored (ours)."""
    bucket: oss2.Bucket = drive.bucket()
    for name in ("If-Match", "If-None-Match"):
        refuses(functools.partial(bucket.put_object, "k", b"", headers={name: "*"}), 501, "NotImplemented")
