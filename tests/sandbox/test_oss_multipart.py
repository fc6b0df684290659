"""Multipart upload: initiate, upload, copy a part, complete, abort, list. Through oss2's own functions.

Source: https://github.com/AlibabaCloudDocs/oss, API Reference, Object operations, Multipart upload.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import oss2
import pytest
from fastcrc import crc64
from oss2.models import PartInfo

from tests.sandbox.drive import Drive, document, xml
from tests.sandbox.oss_help import (
    denied,
    md5,
    pattern,
    read_answers,  # noqa: F401 - a fixture
    refuses,
    request,
)

SMALL = 100 * 1024
NO_UPLOAD = (
    "The specified upload does not exist. The upload ID may be invalid, "
    "or the upload may have been aborted or completed."
)


def upload(bucket: Any, key: str, *bodies: bytes, first: int = 1, **more: Any) -> tuple[str, list[PartInfo]]:
    """Initiate an upload and send its parts."""
    upload_id = bucket.init_multipart_upload(key, **more).upload_id
    parts = []
    for number, body in enumerate(bodies, first):
        sent = bucket.upload_part(key, upload_id, number, body)
        parts.append(PartInfo(number, sent.etag, size=len(body), part_crc=sent.crc))
    return upload_id, parts


def parts_xml(*parts: tuple[int, str]) -> str:
    """The list of CompleteMultipartUpload, in this order (oss2 would sort it)."""
    items = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts)
    return f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>"


@pytest.mark.parametrize("version", ["v1", "v4"])
@pytest.mark.parametrize("path_style", [False, True])
def test_round_trip(drive: Drive, version: str, path_style: bool) -> None:
    """UploadPart answers the part's MD5 as ETag; Complete an ETag `…-N` and the CRC of the whole."""
    bucket = drive.bucket(version=version, path_style=path_style)
    bodies = [pattern(SMALL, 1), pattern(SMALL + 1, 2), b"tail"]
    key = "dir/multi part+ü.bin"
    upload_id, parts = upload(bucket, key, *bodies, headers={"Content-Type": "x/y", "x-oss-meta-a": "b"})
    assert [p.etag for p in parts] == [md5(b).hexdigest().upper() for b in bodies]
    refuses(lambda: bucket.get_object(key), 404, "NoSuchKey")
    done = bucket.complete_multipart_upload(key, upload_id, parts)  # oss2 checks the CRC it combined itself
    whole = b"".join(bodies)
    assert done.status == 200
    assert done.crc == crc64.xz(whole)
    digest = md5(b"".join(md5(b).digest() for b in bodies)).hexdigest().upper()
    assert done.etag == f"{digest}-3"
    got = bucket.get_object(key)
    assert got.read() == whole
    assert (got.content_type, got.headers["x-oss-meta-a"]) == ("x/y", "b")
    head = bucket.head_object(key)
    assert (head.object_type, head.etag, head.content_length) == ("Multipart", f"{digest}-3", len(whole))
    assert "Content-MD5" not in head.headers, "Content-MD5 belongs to normal objects"
    refuses(lambda: bucket.complete_multipart_upload(key, upload_id, parts), 404, "NoSuchUpload", NO_UPLOAD)
    refuses(lambda: bucket.list_parts(key, upload_id), 404, "NoSuchUpload")


def test_the_xml_of_initiate_and_complete(drive: Drive) -> None:
    """Elements and encoding-type as documented; Location is the object's address."""
    bucket = drive.bucket()
    key = "a b/ü\x01"
    answer = request(bucket, "POST", key, query={"uploads": "", "encoding-type": "url"})
    root = xml(answer.content)
    assert (answer.status_code, root.tag) == (200, "InitiateMultipartUploadResult")
    assert [root.findtext(n) for n in ("Bucket", "Key", "EncodingType")] == [
        "sandbox-photos", "a%20b%2F%C3%BC%01", "url",
    ]  # fmt: skip
    upload_id = root.findtext("UploadId") or ""
    assert len(upload_id) == 32
    sent = bucket.upload_part(key, upload_id, 1, b"x")
    body = parts_xml((1, f'"{sent.etag}"'))
    answer = request(bucket, "POST", key, query={"uploadId": upload_id, "encoding-type": "url"}, data=body)
    root = xml(answer.content)
    assert (answer.status_code, root.tag) == (200, "CompleteMultipartUploadResult")
    assert root.findtext("Key") == "a%20b%2F%C3%BC%01"
    assert (root.findtext("Location") or "").startswith("http://sandbox-photos.oss-cn-beijing.aliyuncs.com/")
    assert root.findtext("ETag") == answer.headers["ETag"]


def test_numbers_need_not_be_consecutive_and_a_part_can_be_replaced(drive: Drive) -> None:
    bucket = drive.bucket()
    upload_id = bucket.init_multipart_upload("k").upload_id
    bucket.upload_part("k", upload_id, 8, b"old")
    parts = [
        PartInfo(n, bucket.upload_part("k", upload_id, n, b).etag)
        for n, b in ((10000, b"c"), (3, b"x" * SMALL), (8, b"y" * SMALL))
    ]
    parts.sort(key=lambda p: p.part_number)
    bucket.complete_multipart_upload("k", upload_id, parts)
    assert bucket.get_object("k").read() == b"x" * SMALL + b"y" * SMALL + b"c"


def test_only_the_parts_named_are_taken(drive: Drive) -> None:
    bucket = drive.bucket()
    upload_id, parts = upload(bucket, "k", b"x" * SMALL, b"y" * SMALL)
    bucket.complete_multipart_upload("k", upload_id, parts[:1])
    assert bucket.get_object("k").read() == b"x" * SMALL


def test_what_complete_refuses(drive: Drive) -> None:
    """InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedXML; the upload stays as it was."""
    bucket = drive.bucket()
    upload_id, (one, two, three) = upload(bucket, "k", b"x" * SMALL, b"y" * (SMALL - 1), b"z")
    first, last = (1, one.etag), (3, three.etag)

    def refused(
        code: str, *parts: tuple[int, str], message: str = "", key: str = "k", upload_id: str = upload_id
    ) -> Any:
        answer = request(bucket, "POST", key, query={"uploadId": upload_id}, data=parts_xml(*parts))
        root = xml(answer.content)
        assert (answer.status_code, root.findtext("Code")) == (404 if code == "NoSuchUpload" else 400, code)
        assert message in ("", root.findtext("Message"))
        return root

    order = "The list of parts was not in ascending order."
    refused("InvalidPartOrder", last, first, message=order)
    refused("InvalidPartOrder", first, first, message=order)
    refused("InvalidPartOrder", (0, one.etag))
    refused("InvalidPartOrder", (10001, one.etag))
    refused("InvalidPart", (1, two.etag))
    refused("InvalidPart", first, (9, one.etag))
    assert refused("EntityTooSmall", first, (2, two.etag), last).findtext("PartNumber") == "2"
    refused("MalformedXML")
    refused("NoSuchUpload", first, message=NO_UPLOAD, key="other")
    refused("NoSuchUpload", first, message=NO_UPLOAD, upload_id="0" * 32)
    assert [p.part_number for p in bucket.list_parts("k", upload_id).parts] == [1, 2, 3]
    bucket.complete_multipart_upload("k", upload_id, [one, three])


def test_complete_all(drive: Drive) -> None:
    """x-oss-complete-all: yes takes every part; then there may be no body."""
    bucket = drive.bucket()
    upload_id, parts = upload(bucket, "k", b"x" * SMALL, b"y")
    more = {"headers": {"x-oss-complete-all": "yes"}}
    refuses(lambda: bucket.complete_multipart_upload("k", upload_id, parts, **more), 400, "InvalidArgument")
    bucket.complete_multipart_upload("k", upload_id, None, **more)
    assert bucket.get_object("k").read() == b"x" * SMALL + b"y"


def test_forbid_overwrite(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object("k", b"old")
    forbid = {"x-oss-forbid-overwrite": "true"}
    refuses(lambda: bucket.init_multipart_upload("k", headers=forbid), 409, "FileAlreadyExists")
    upload_id, parts = upload(bucket, "k", b"new")
    refuses(
        lambda: bucket.complete_multipart_upload("k", upload_id, parts, headers=forbid),
        409,
        "FileAlreadyExists",
    )
    assert bucket.get_object("k").read() == b"old"
    bucket.complete_multipart_upload("k", upload_id, parts)
    assert bucket.get_object("k").read() == b"new"


def test_abort(drive: Drive) -> None:
    """204; then the upload and its parts are gone."""
    bucket = drive.bucket()
    upload_id, parts = upload(bucket, "k", b"x")
    assert bucket.abort_multipart_upload("k", upload_id).status == 204
    refuses(lambda: bucket.abort_multipart_upload("k", upload_id), 404, "NoSuchUpload", NO_UPLOAD)
    refuses(lambda: bucket.upload_part("k", upload_id, 2, b"x"), 404, "NoSuchUpload")
    refuses(lambda: bucket.complete_multipart_upload("k", upload_id, parts), 404, "NoSuchUpload")
    assert not list(oss2.ObjectUploadIterator(bucket, "k"))


def test_upload_part_refusals(drive: Drive) -> None:
    bucket = drive.bucket()
    upload_id = bucket.init_multipart_upload("k").upload_id
    for number in (0, 10001, "x", "-1", "٣"):
        error = refuses(
            functools.partial(bucket.upload_part, "k", upload_id, number, b"x"), 400, "InvalidArgument"
        )
        assert error.details["ArgumentName"] == "partNumber"
    wrong = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    crc = {"x-oss-hash-crc64ecma": "1"}
    text = "The x-oss-hash-crc64ecma you specified does not match what we calculated."
    refuses(lambda: bucket.upload_part("k", upload_id, 1, b"x", headers=crc), 400, "InvalidCRC64", text)
    refuses(lambda: bucket.put_object("k", b"x", headers=crc), 400, "InvalidCRC64", text)
    assert bucket.put_object("k", b"x", headers={"x-oss-hash-crc64ecma": str(crc64.xz(b"x"))}).status == 200
    refuses(lambda: bucket.upload_part("k", upload_id, 1, b"x", headers=wrong), 400, "InvalidDigest")
    for name in ("x-oss-server-side-encryption", "x-oss-traffic-limit"):
        refuses(
            functools.partial(bucket.upload_part, "k", upload_id, 1, b"x", headers={name: "1"}),
            501,
            "NotImplemented",
        )
    assert bucket.list_parts("k", upload_id).parts == []


def test_upload_part_copy(drive: Drive) -> None:
    """The whole source, or a range of it; a range that does not fit copies the whole."""
    bucket = drive.bucket()
    body = pattern(3 * SMALL)
    bucket.put_object("source +ü", body)
    upload_id = bucket.init_multipart_upload("k").upload_id
    copy = bucket.upload_part_copy
    parts = []
    for number, span, expected in (
        (1, None, body),
        (2, (100, SMALL + 99), body[100 : SMALL + 100]),
        (3, (SMALL, None), body[SMALL:]),
    ):
        sent = copy("sandbox-photos", "source +ü", span, "k", upload_id, number)
        assert sent.etag == md5(expected).hexdigest().upper()
        assert ("Content-Range" in sent.headers) == (span is not None)
        parts.append(PartInfo(number, sent.etag))
    assert sent.headers["Content-Range"] == f"bytes {SMALL}-{3 * SMALL - 1}/{3 * SMALL}"
    beyond = copy("sandbox-photos", "source +ü", (0, 10**9), "k", upload_id, 4)
    assert beyond.etag == parts[0].etag
    bucket.complete_multipart_upload("k", upload_id, parts)
    assert bucket.get_object("k").read() == body + body[100 : SMALL + 100] + body[SMALL:]


def test_upload_part_copy_refusals(drive: Drive) -> None:
    bucket = drive.bucket()
    bucket.put_object("source", b"abc")
    etag = bucket.head_object("source").etag
    upload_id = bucket.init_multipart_upload("k").upload_id

    def copy(key: str = "source", **headers: str) -> Any:
        names = {f"x-oss-copy-source-{n.replace('_', '-')}": v for n, v in headers.items()}
        return bucket.upload_part_copy("sandbox-photos", key, None, "k", upload_id, 1, headers=names)

    refuses(lambda: copy("nokey"), 404, "NoSuchKey")
    refuses(lambda: copy(if_match="0" * 32), 412, "PreconditionFailed")
    assert copy(if_match=etag).status == 200
    with pytest.raises(oss2.exceptions.NotModified):
        copy(if_none_match=etag)
    bucket.append_object("log", 0, b"x")
    refuses(lambda: copy("log"), 400, "OperationNotSupported")


# -- lists ---------------------------------------------------------------------------------------------------------


def test_list_parts_in_pages(drive: Drive) -> None:
    bucket = drive.bucket()
    upload_id, _ = upload(bucket, "k", *(b"%d" % n for n in range(7)))
    page = bucket.list_parts("k", upload_id, max_parts=3)
    assert ([p.part_number for p in page.parts], page.is_truncated, page.next_marker) == (
        [1, 2, 3],
        True,
        "3",
    )
    assert page.parts[0].etag == md5(b"0").hexdigest().upper()
    rest = bucket.list_parts("k", upload_id, marker="3")
    assert ([p.part_number for p in rest.parts], rest.is_truncated) == ([4, 5, 6, 7], False)
    assert [p.part_number for p in oss2.PartIterator(bucket, "k", upload_id, max_parts=2)] == list(
        range(1, 8)
    )
    for query in (
        {"max-parts": "0"},
        {"max-parts": "1001"},
        {"part-number-marker": "x"},
        {"encoding-type": "gzip"},
    ):
        answer = request(bucket, "GET", "k", query={"uploadId": upload_id, **query})
        assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True)


def test_list_uploads(drive: Drive) -> None:
    """By key, then upload id; markers, prefix, delimiter, encoding-type."""
    bucket = drive.bucket()
    keys = ["a", "a", "b/1", "b/2", "b/2", "c/ü", "d"]
    made = sorted((key, bucket.init_multipart_upload(key).upload_id) for key in keys)

    def walk(**more: Any) -> list[tuple[str, str | None]]:
        return [(u.key, u.upload_id) for u in oss2.MultipartUploadIterator(bucket, **more)]

    assert walk() == made
    for size in (1, 2, 3):
        assert walk(max_uploads=size) == made, size
        assert walk(max_uploads=size, prefix="b/") == [m for m in made if m[0].startswith("b/")]
        grouped = walk(max_uploads=size, delimiter="/")
        assert [key for key, _ in grouped] == ["a", "a", "b/", "c/", "d"], size
    page = bucket.list_multipart_uploads(key_marker="b/1")
    assert [u.key for u in page.upload_list] == ["b/2", "b/2", "c/ü", "d"]
    second = made[3]
    page = bucket.list_multipart_uploads(key_marker=second[0], upload_id_marker=second[1])
    assert [(u.key, u.upload_id) for u in page.upload_list] == made[4:]
    answer = request(bucket, "GET", query={"uploads": "", "max-uploads": "1001"})
    assert answer.status_code == 400


# -- oss2's own resumable functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
def test_resumable_upload_and_download(drive: Drive, tmp_path: Path, threads: int) -> None:
    body = pattern(5 * SMALL + 17)
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(body)
    bucket = drive.bucket()
    store = oss2.ResumableStore(root=str(tmp_path / "records"))
    done = oss2.resumable_upload(
        bucket,
        "big",
        str(source),
        store=store,
        multipart_threshold=SMALL,
        part_size=SMALL,
        num_threads=threads,
    )
    assert done.status == 200
    assert bucket.head_object("big").object_type == "Multipart"
    oss2.resumable_download(
        bucket, "big", str(target), store=oss2.ResumableDownloadStore(root=str(tmp_path / "records")),
        multiget_threshold=SMALL, part_size=SMALL, num_threads=threads,
    )  # fmt: skip
    assert target.read_bytes() == body


def test_a_broken_resumable_upload_goes_on(drive: Drive, tmp_path: Path) -> None:
    """The second run sends only what is missing: ListParts is true."""
    body = pattern(6 * SMALL)
    source = tmp_path / "in"
    source.write_bytes(body)
    bucket = drive.bucket()
    store = oss2.ResumableStore(root=str(tmp_path / "records"))

    def stop(done: int, _total: int) -> None:
        if done >= 3 * SMALL:
            raise KeyboardInterrupt

    def run(**more: Any) -> None:
        oss2.resumable_upload(
            bucket,
            "big",
            str(source),
            store=store,
            multipart_threshold=SMALL,
            part_size=SMALL,
            num_threads=1,
            **more,
        )

    with pytest.raises(KeyboardInterrupt):
        run(progress_callback=stop)
    entries = drive.journal_after(run)
    assert 1 <= [e["operation"] for e in entries].count("UploadPart") <= 3
    assert bucket.get_object("big").read() == body


def test_many_at_once(drive: Drive) -> None:
    """Two completions of one upload at once: one wins; parts sent at once all arrive."""
    bucket = drive.bucket()
    upload_id = bucket.init_multipart_upload("k").upload_id
    parts: dict[int, PartInfo] = {}

    def send(number: int) -> None:
        own = drive.bucket()
        parts[number] = PartInfo(
            number, own.upload_part("k", upload_id, number, bytes([number]) * SMALL).etag
        )

    threads = [threading.Thread(target=send, args=(n,)) for n in range(1, 9)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    results: list[int] = []

    def complete() -> None:
        try:
            results.append(
                drive.bucket()
                .complete_multipart_upload("k", upload_id, [parts[n] for n in range(1, 9)])
                .status
            )
        except oss2.exceptions.NoSuchUpload:
            results.append(404)

    threads = [threading.Thread(target=complete) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [200, 404, 404, 404]
    assert bucket.get_object("k").read() == b"".join(bytes([n]) * SMALL for n in range(1, 9))


# -- permissions (facts/oss.md §4) --------------------------------------------------------------------------------


def test_permissions(drive: Drive) -> None:
    """oss:PutObject uploads; oss:AbortMultipartUpload, oss:ListParts and oss:ListMultipartUploads are their own."""
    who = drive.session(document(("Allow", ["oss:PutObject"], "acs:oss:*:*:sandbox-photos/up/*")))
    mine, admin = drive.bucket(who), drive.bucket()
    upload_id, parts = upload(mine, "up/k", b"x")
    denied(lambda: mine.init_multipart_upload("else"))
    denied(lambda: mine.list_parts("up/k", upload_id))
    denied(lambda: mine.abort_multipart_upload("up/k", upload_id))
    error = denied(mine.list_multipart_uploads)
    assert b"<AuthAction>oss:ListMultipartUploads</AuthAction>" in error.body
    denied(
        lambda: mine.upload_part_copy("sandbox-photos", "testfolder/example.png", None, "up/k", upload_id, 2)
    )
    assert mine.complete_multipart_upload("up/k", upload_id, parts).status == 200
    foreign = admin.init_multipart_upload("else").upload_id
    denied(lambda: mine.upload_part("else", foreign, 1, b"x"))
    drive.grant("EcsRamRole", document(
        ("Allow", ["oss:ListMultipartUploads"], "acs:oss:*:*:sandbox-photos"),
        ("Allow", ["oss:ListParts", "oss:AbortMultipartUpload"], "acs:oss:*:*:sandbox-photos/*"),
    ))  # fmt: skip
    assert [u.key for u in mine.list_multipart_uploads().upload_list] == ["else"]
    assert mine.list_parts("else", foreign).parts == []
    assert mine.abort_multipart_upload("else", foreign).status == 204
