"""Addresses presigned by oss2 for more than GET: every method, STS tokens, overrides, and what spoils them.

Sources: facts/oss.md §6 and §7; https://github.com/AlibabaCloudDocs/oss (GetObject: response-*).
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.sandbox.drive import Answer, Drive, curl, xml
from tests.sandbox.oss_help import (
    error_of,
    put_url,
    read_answers,  # noqa: F401 - a fixture
)

PHOTO = "testfolder/example.png"
versions = pytest.mark.parametrize("version", ["v1", "v4"])


def get(drive: Drive, url: str, *args: str) -> Answer:
    return curl(*args, url, proxy=drive.url)


def code_of(answer: Answer) -> tuple[int, str]:
    return answer.status, error_of(answer)["Code"]


@versions
@pytest.mark.parametrize("sts", [False, True])
def test_every_method(drive: Drive, version: str, sts: bool) -> None:
    who = drive.session("AliyunOSSFullAccess") if sts else "admin"
    bucket = drive.bucket(who, version=version)

    def sign(method: str, key: str, **more: Any) -> str:
        url: str = bucket.sign_url(method, key, 300, slash_safe=True, **more)
        return url

    key = "dir/a b+ü.txt"
    assert put_url(drive, sign("PUT", key), data=b"hello").status == 200
    assert get(drive, sign("GET", key)).body == b"hello"
    head = get(drive, sign("HEAD", key), "-I")
    assert (head.status, head["content-length"]) == (200, "5")
    ranged = get(drive, sign("GET", key), "-H", "Range: bytes=1-2")
    assert (ranged.status, ranged.body) == (206, b"el")
    acl = put_url(
        drive,
        sign("PUT", key, params={"acl": ""}, headers={"x-oss-object-acl": "public-read"}),
        "-H",
        "x-oss-object-acl: public-read",
    )
    assert acl.status == 200
    started = put_url(drive, sign("POST", "m", params={"uploads": ""}), method="POST")
    upload_id = xml(started.body).findtext("UploadId") or ""
    part = put_url(drive, sign("PUT", "m", params={"partNumber": "1", "uploadId": upload_id}), data=b"part")
    item = f"<Part><PartNumber>1</PartNumber><ETag>{part['etag']}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{item}</CompleteMultipartUpload>"
    done = put_url(
        drive, sign("POST", "m", params={"uploadId": upload_id}), method="POST", data=body.encode()
    )
    assert done.status == 200, done.text
    assert get(drive, sign("GET", "m")).body == b"part"
    appended = put_url(
        drive, sign("POST", "log", params={"append": "", "position": "0"}), method="POST", data=b"x"
    )
    assert appended["x-oss-next-append-position"] == "1"
    assert put_url(drive, sign("DELETE", key), method="DELETE").status == 204


@versions
def test_response_overrides(drive: Drive, version: str) -> None:
    """Each response-* of the documents; they are part of the signature."""
    overrides = {
        "response-content-type": "text/x-own",
        "response-content-language": "zh",
        "response-expires": "Fri, 24 Feb 2012 17:00:00 GMT",
        "response-cache-control": "no-cache",
        "response-content-disposition": 'attachment; filename="a b.png"',
        "response-content-encoding": "identity",
    }
    url = drive.bucket(version=version).sign_url("GET", PHOTO, 300, slash_safe=True, params=dict(overrides))
    answer = get(drive, url)
    assert answer.status == 200, answer.text
    for name, value in overrides.items():
        assert answer[name.removeprefix("response-")] == value
    assert code_of(get(drive, url.replace("text%2Fx-own", "text%2Fhtml"))) == (403, "SignatureDoesNotMatch")
    evil = drive.bucket(version=version).sign_url(
        "GET", PHOTO, 300, slash_safe=True, params={"response-content-type": "a\r\nb: c"}
    )
    assert code_of(get(drive, evil)) == (400, "InvalidArgument")


@versions
def test_tampered(drive: Drive, version: str) -> None:
    """Another key, method, expiry, sub-resource, header or signature: refused."""
    bucket = drive.bucket(version=version)
    url = bucket.sign_url("GET", PHOTO, 300, slash_safe=True)
    expiry = "Expires=" if version == "v1" else "x-oss-expires="
    for other in (
        url.replace("example.png", "other.png"),
        url + "&acl",
        url.replace(expiry, expiry + "1"),
        url.replace("Signature=", "Signature=AAAA")
        if version == "v1"
        else url.replace("x-oss-signature=", "x-oss-signature=0"),
    ):
        assert other != url
        answer = get(drive, other)
        assert (answer.status, error_of(answer)["Code"]) in (
            (403, "SignatureDoesNotMatch"),
            (400, "InvalidArgument"),
        ), other
    assert code_of(put_url(drive, url, data=b"x")) == (403, "SignatureDoesNotMatch")
    assert code_of(get(drive, url, "-H", "x-oss-range-behavior: standard")) == (403, "SignatureDoesNotMatch")
    both = get(drive, url, "-H", "Authorization: OSS a:b")
    assert code_of(both) == (400, "InvalidArgument")


@versions
def test_expired(drive: Drive, version: str) -> None:
    url = drive.bucket(version=version).sign_url("GET", PHOTO, 60, slash_safe=True)
    assert get(drive, url).status == 200
    drive.sandbox.set(clock_skew=62)
    assert code_of(get(drive, url)) == (403, "AccessDenied")


@versions
def test_the_token_belongs_to_the_address(drive: Drive, version: str) -> None:
    """Without its security token, or with another's, an STS key opens nothing; a detached role's neither."""
    who = drive.session("AliyunOSSReadOnlyAccess")
    url = drive.bucket(who, version=version).sign_url("GET", PHOTO, 300, slash_safe=True)
    name = "security-token=" if version == "v1" else "x-oss-security-token="
    assert get(drive, url).status == 200
    before, _, rest = url.partition(name)
    token, _, after = rest.partition("&")
    without = f"{before}{after}".rstrip("&?")
    assert code_of(get(drive, without)) == (403, "InvalidAccessKeyId")
    assert code_of(get(drive, f"{before}{name}x{token}&{after}".rstrip("&"))) == (403, "InvalidSecurityToken")
    refused = put_url(
        drive, drive.bucket(who, version=version).sign_url("PUT", PHOTO, 300, slash_safe=True), data=b"x"
    )
    assert code_of(refused) == (403, "AccessDenied")


@versions
def test_a_presigned_head_answers_its_error_in_a_header(drive: Drive, version: str) -> None:
    url = drive.bucket(version=version).sign_url("HEAD", "nokey", 300, slash_safe=True)
    answer = get(drive, url, "-I")
    assert (answer.status, answer.body) == (404, b"")
    assert b"NoSuchKey" in base64.b64decode(answer["x-oss-err"])


@versions
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("GET", {"x-oss-process": "image/resize,w_100"}),
        ("GET", {"versionId": "x"}),
        ("GET", {"symlink": ""}),
        ("PUT", {"symlink": ""}),
        ("POST", {"restore": ""}),
        ("GET", {"x-oss-traffic-limit": "819200"}),
        ("PUT", {"callback": "e30="}),
        ("POST", {"x-oss-async-process": "a"}),
        ("POST", {}),
    ],
)
def test_what_is_not_modelled_is_refused_in_an_address_too(
    drive: Drive, version: str, method: str, params: dict[str, str]
) -> None:
    """Ours: 501 with a sentence, never ignored."""
    url = drive.bucket(version=version).sign_url(method, PHOTO, 300, slash_safe=True, params=params)
    answer = put_url(drive, url, method=method)
    assert code_of(answer) == (501, "NotImplemented")
    assert "sandbox does not have" in answer.text


def test_post_object_form(drive: Drive) -> None:
    """Ours: a browser's upload form is refused with 501, whoever sends it."""
    answer = curl(
        "-F",
        "key=a",
        "-F",
        "file=@/dev/null",
        "http://sandbox-photos.oss-cn-beijing.aliyuncs.com/",
        proxy=drive.url,
    )
    assert code_of(answer) == (501, "NotImplemented")
