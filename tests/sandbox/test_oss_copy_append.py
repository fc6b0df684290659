"""CopyObject, AppendObject and DeleteMultipleObjects, through oss2.

Source: https://github.com/AlibabaCloudDocs/oss, API Reference, Object operations.
"""

from __future__ import annotations

import base64
import email.utils
import functools
import threading
import time
from typing import Any

import oss2
import pytest
from fastcrc import crc64

from tests.sandbox.drive import Drive, document, xml
from tests.sandbox.oss_help import (
    denied,
    md5,
    pattern,
    read_answers,  # noqa: F401 - a fixture
    refuses,
    request,
)

PHOTO = "testfolder/example.png"


# -- CopyObject ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_copy(drive: Drive, version: str) -> None:
    """Content, ETag, CRC and by default the metadata of the source; the answer names ETag and LastModified."""
    bucket = drive.bucket(version=version)
    body = pattern(300_000)
    bucket.put_object(
        "from/a b+ü.bin",
        body,
        headers={"Content-Type": "x/y", "x-oss-meta-a": "b", "Cache-Control": "no-cache"},
    )
    done = bucket.copy_object("sandbox-photos", "from/a b+ü.bin", "to/copy")
    assert done.etag == md5(body).hexdigest().upper()
    root = xml(done.resp.read() or b"<x/>")
    assert root.tag in ("CopyObjectResult", "x")
    got = bucket.get_object("to/copy")
    assert got.read() == body
    assert (got.content_type, got.headers["x-oss-meta-a"], got.headers["Cache-Control"]) == (
        "x/y",
        "b",
        "no-cache",
    )
    bucket.delete_object("from/a b+ü.bin")
    assert bucket.get_object("to/copy").read() == body, "the copy does not depend on its source"


def test_the_xml_of_copy(drive: Drive) -> None:
    bucket = drive.bucket()
    answer = request(bucket, "PUT", "copy", headers={"x-oss-copy-source": f"/sandbox-photos/{PHOTO}"})
    root = xml(answer.content)
    assert (answer.status_code, root.tag) == (200, "CopyObjectResult")
    assert root.findtext("ETag") == answer.headers["ETag"]
    assert (root.findtext("LastModified") or "").endswith(".000Z")


def test_metadata_directive(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object("k", b"x", headers={"Content-Type": "x/y", "x-oss-meta-a": "b"})
    replace = {"x-oss-metadata-directive": "REPLACE", "x-oss-meta-c": "d", "Content-Type": "p/q"}
    bucket.copy_object("sandbox-photos", "k", "r", headers=replace)
    head = bucket.head_object("r")
    assert (head.content_type, head.headers.get("x-oss-meta-a"), head.headers["x-oss-meta-c"]) == (
        "p/q",
        None,
        "d",
    )
    bucket.copy_object(
        "sandbox-photos", "k", "c", headers={"x-oss-metadata-directive": "COPY", "x-oss-meta-c": "d"}
    )
    head = bucket.head_object("c")
    assert (head.headers["x-oss-meta-a"], head.headers.get("x-oss-meta-c")) == ("b", None)
    wrong = {"x-oss-metadata-directive": "MERGE"}
    refuses(lambda: bucket.copy_object("sandbox-photos", "k", "w", headers=wrong), 400, "InvalidArgument")


def test_metadata_of_an_object_in_place(drive: Drive) -> None:
    """A copy onto itself sets what the request says whatever the directive; the content stays (update_object_meta)."""
    bucket = drive.bucket()
    bucket.append_object("log", 0, b"line\n", headers={"x-oss-meta-a": "b"})
    bucket.update_object_meta("log", {"x-oss-meta-c": "d", "Content-Type": "text/x"})
    head = bucket.head_object("log")
    assert (head.object_type, head.content_type, head.headers["x-oss-meta-c"]) == (
        "Appendable",
        "text/x",
        "d",
    )
    assert "x-oss-meta-a" not in head.headers
    assert bucket.append_object("log", 5, b"more").next_position == 9


def test_copy_conditions(drive: Drive) -> None:
    """412 for if-match and if-unmodified-since, 304 for if-none-match and if-modified-since."""
    bucket = drive.bucket()
    head = bucket.head_object(PHOTO)
    before, after = (email.utils.formatdate(head.last_modified + d, usegmt=True) for d in (-100, 100))

    def conditional(name: str, value: str) -> int:
        headers = {f"x-oss-copy-source-if-{name}": value}
        status: int = bucket.copy_object("sandbox-photos", PHOTO, "copy", headers=headers).status
        return status

    for name, value in (
        ("match", head.etag), ("match", f'"{head.etag}"'), ("none-match", "0" * 32),
        ("unmodified-since", after), ("modified-since", before),
    ):  # fmt: skip
        assert conditional(name, value) == 200, name
    for name, value in (("match", "0" * 32), ("unmodified-since", before)):
        refuses(functools.partial(conditional, name, value), 412, "PreconditionFailed")
    for name, value in (("none-match", head.etag), ("modified-since", after)):
        with pytest.raises(oss2.exceptions.NotModified):
            conditional(name, value)


def test_what_copy_refuses(drive: Drive) -> None:
    bucket = drive.bucket()
    copy = bucket.copy_object
    refuses(lambda: copy("sandbox-photos", "nokey", "k"), 404, "NoSuchKey")
    refuses(lambda: copy("no-such-bucket-x", "k", "k"), 404, "NoSuchBucket")
    message = "Copy Source must mention the source bucket and key: /sourcebucket/sourcekey."
    for source in ("sandbox-photos", "/", "/sandbox-photos/", "/UPPER/k"):
        answer = request(bucket, "PUT", "k", headers={"x-oss-copy-source": source})
        assert (answer.status_code, message in answer.text) == (400, True), answer.text
    answer = request(
        bucket, "PUT", "k", headers={"x-oss-copy-source": f"/sandbox-photos/{PHOTO}?versionId=x"}
    )
    assert (answer.status_code, "NotImplemented" in answer.text) == (501, True)
    forbid = {"x-oss-forbid-overwrite": "true"}
    bucket.put_object("k", b"old")
    refuses(lambda: copy("sandbox-photos", PHOTO, "k", headers=forbid), 409, "FileAlreadyExists")
    other = next(b["name"] for b in drive.sandbox.start_line["buckets"] if b["region_id"] != "cn-beijing")
    drive.bucket(name=other, region="cn-hangzhou").put_object("k", b"")
    denied(lambda: copy(other, "k", "k"))
    for name in ("x-oss-server-side-encryption", "x-oss-callback"):
        refuses(
            functools.partial(copy, "sandbox-photos", PHOTO, "k", headers={name: "AES256"}),
            501,
            "NotImplemented",
        )
    bucket.append_object("log", 0, b"x")
    refuses(lambda: copy("sandbox-photos", "log", "k2"), 400, "OperationNotSupported")


def test_copy_needs_both_permissions(drive: Drive) -> None:
    """facts/oss.md §4: oss:GetObject on the source, oss:PutObject on the target."""
    who = drive.session(document(("Allow", "oss:PutObject", "acs:oss:*:*:sandbox-photos/to/*")))
    bucket = drive.bucket(who)

    def copy(target: str = "to/k") -> Any:
        return bucket.copy_object("sandbox-photos", PHOTO, target)

    error = denied(copy)
    assert b"<AuthAction>oss:GetObject</AuthAction>" in error.body
    drive.grant("EcsRamRole", document(("Allow", "oss:GetObject", "acs:oss:*:*:sandbox-photos/testfolder/*")))
    assert copy().status == 200
    error = denied(lambda: copy("else"))
    assert b"<AuthAction>oss:PutObject</AuthAction>" in error.body


def test_copying_a_multipart_object(drive: Drive) -> None:
    """The copy is a normal object (ours: its ETag is then the MD5)."""
    bucket = drive.bucket()
    upload_id = bucket.init_multipart_upload("m").upload_id
    bucket.upload_part("m", upload_id, 1, b"hello")
    bucket.complete_multipart_upload("m", upload_id, None, headers={"x-oss-complete-all": "yes"})
    bucket.copy_object("sandbox-photos", "m", "n")
    head = bucket.head_object("n")
    assert (head.object_type, head.etag) == ("Normal", md5(b"hello").hexdigest().upper())
    assert bucket.get_object("n").read() == b"hello"


# -- AppendObject --------------------------------------------------------------------------------------------------


def test_append(drive: Drive) -> None:
    bucket = drive.bucket()
    first = bucket.append_object(
        "log", 0, b"one\n", init_crc=0, headers={"x-oss-meta-a": "b", "Content-Type": "t/x"}
    )
    assert (first.next_position, first.crc) == (4, crc64.xz(b"one\n"))
    second = bucket.append_object("log", 4, b"two\n", init_crc=first.crc)
    assert (second.next_position, second.crc) == (8, crc64.xz(b"one\ntwo\n"))
    assert first.etag != second.etag
    assert bucket.append_object("log", 8, b"").next_position == 8
    got = bucket.get_object("log")
    assert got.read() == b"one\ntwo\n"
    assert "Content-MD5" not in got.headers
    head = bucket.head_object("log")
    assert (head.object_type, head.headers["x-oss-next-append-position"]) == ("Appendable", "8")
    assert (head.content_type, head.headers["x-oss-meta-a"]) == ("t/x", "b")
    listed = {o.key: o.type for o in bucket.list_objects_v2(prefix="log").object_list}
    assert listed == {"log": "Appendable"}
    bucket.put_object("log", b"normal")
    assert bucket.head_object("log").object_type == "Normal"


def test_what_append_refuses(drive: Drive) -> None:
    bucket = drive.bucket()
    append = bucket.append_object
    message = "Position is not equal to file length."
    error = refuses(lambda: append("log", 1, b"x"), 409, "PositionNotEqualToLength", message)
    assert error.next_position == 0
    append("log", 0, b"abc")
    for position in (0, 2, 4):
        error = refuses(
            functools.partial(append, "log", position, b"x"), 409, "PositionNotEqualToLength", message
        )
        assert error.next_position == 3
    refuses(lambda: append(PHOTO, 0, b"x"), 409, "ObjectNotAppendable", "The object is not appendable.")
    for text in ("-1", "x", "", "9" * 30):
        answer = request(bucket, "POST", "log", query={"append": "", "position": text}, data=b"x")
        assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True), text
    refuses(lambda: append("log", 3, b"x", headers={"x-oss-meta-a": "b"}), 400, "InvalidArgument")
    refuses(lambda: append("new", 0, b"x", headers={"x-oss-object-acl": "secret"}), 400, "InvalidArgument")
    refuses(
        lambda: append("log", 3, b"x", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        400,
        "InvalidDigest",
    )
    refuses(
        lambda: append("log", 3, b"x", headers={"x-oss-server-side-encryption": "AES256"}),
        501,
        "NotImplemented",
    )
    assert bucket.get_object("log").read() == b"abc"


def test_appends_at_once(drive: Drive) -> None:
    """Of several appends at one position one wins, and nothing is mixed."""
    drive.bucket().append_object("log", 0, b"")
    done: list[bytes] = []

    def append(letter: int) -> None:
        body, bucket = bytes([letter]) * 200_000, drive.bucket()
        try:
            bucket.append_object("log", 0, body)
        except oss2.exceptions.PositionNotEqualToLength:
            return
        done.append(body)

    threads = [threading.Thread(target=append, args=(n,)) for n in range(65, 73)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 1
    got = drive.bucket().get_object("log")
    assert got.read() == done[0]
    assert got.server_crc == crc64.xz(done[0])


def test_append_needs_put_object(drive: Drive) -> None:
    who = drive.session("AliyunOSSReadOnlyAccess")
    error = denied(lambda: drive.bucket(who).append_object("log", 0, b"x"))
    assert b"<AuthAction>oss:PutObject</AuthAction>" in error.body


# -- DeleteMultipleObjects -----------------------------------------------------------------------------------------


def test_delete_several(drive: Drive) -> None:
    """Every name asked for is answered, also of what was not there."""
    bucket = drive.bucket()
    keys = ["a", "ü b+/c", "d&<e"]
    for key in keys:
        bucket.put_object(key, b"x")
    assert sorted(bucket.batch_delete_objects([*keys, "nokey"]).deleted_keys) == sorted([*keys, "nokey"])
    for key in keys:
        assert not bucket.object_exists(key)


def batch(bucket: Any, body: bytes, digest: str | None = None, **query: str) -> Any:
    if digest is None:
        digest = base64.b64encode(md5(body).digest()).decode()
    headers = {"Content-MD5": digest} if digest else {}
    return request(bucket, "POST", query={"delete": "", **query}, headers=headers, data=body)


def test_quiet_and_verbose(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object("a", b"x")
    answer = batch(bucket, b"<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>")
    assert (answer.status_code, answer.content) == (200, b"")
    answer = batch(bucket, b"<Delete><Object><Key>a b</Key></Object></Delete>", **{"encoding-type": "url"})
    root = xml(answer.content)
    assert (root.tag, root.findtext("EncodingType"), root.findtext("Deleted/Key")) == (
        "DeleteResult",
        "url",
        "a%20b",
    )


def test_what_batch_delete_refuses(drive: Drive) -> None:
    bucket = drive.bucket()

    def answers(status: int, code: str, body: bytes, digest: str | None = None) -> None:
        answer = batch(bucket, body, digest)
        assert (answer.status_code, xml(answer.content).findtext("Code")) == (status, code), answer.text

    good = f"<Delete><Object><Key>{PHOTO}</Key></Object></Delete>".encode()
    answers(400, "MissingArgument", good, "")
    answers(400, "InvalidDigest", good, "1B2M2Y8AsgTpgAmY7PhCfg==")
    answers(400, "MalformedXML", b"")
    answers(400, "MalformedXML", b"<Delete>")
    answers(400, "MalformedXML", b"<Delete></Delete>")
    answers(400, "MalformedXML", b"<Other/>")
    answers(400, "MalformedXML", b"<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>")
    many = b"<Delete>" + b"<Object><Key>a</Key></Object>" * 1001 + b"</Delete>"
    answers(400, "MalformedXML", many)
    answers(400, "InvalidObjectName", b"<Delete><Object><Key>/a</Key></Object></Delete>")
    answers(501, "NotImplemented", b"<Delete><Object><Key>a</Key><VersionId>v</VersionId></Object></Delete>")
    answers(
        400, "MalformedXML", b"<Delete><Object><Key>" + b"a" * (2 * 1024 * 1024) + b"</Key></Object></Delete>"
    )
    assert bucket.object_exists(PHOTO)


def test_batch_delete_needs_every_name(drive: Drive) -> None:
    """Ours: one name that may not be deleted refuses the request, and nothing is deleted."""
    who = drive.session(document(("Allow", "oss:DeleteObject", "acs:oss:*:*:sandbox-photos/tmp/*")))
    drive.bucket().put_object("tmp/a", b"x")
    bucket = drive.bucket(who)
    error = denied(lambda: bucket.batch_delete_objects(["tmp/a", PHOTO]))
    assert b"<AuthAction>oss:DeleteObject</AuthAction>" in error.body
    assert drive.bucket().object_exists("tmp/a")
    assert bucket.batch_delete_objects(["tmp/a"]).deleted_keys == ["tmp/a"]


def test_last_modified_of_a_copy_is_its_own(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object("a", b"x")
    time.sleep(1.1)
    bucket.copy_object("sandbox-photos", "a", "b")
    assert bucket.head_object("b").last_modified > bucket.head_object("a").last_modified
