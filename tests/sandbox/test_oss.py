"""OSS through oss2 and curl: addresses, operations, headers, ranges, conditions, refusals. Listing: test_oss_listing.py.

facts/oss.md; its sources are https://github.com/AlibabaCloudDocs/oss and the pages named in each test.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import oss2
import pytest
from fastcrc import crc64

from tests.sandbox.drive import WEB2, Answer, Drive, curl, document, xml
from tests.sandbox.sign import oss_v1, send

PHOTO = "testfolder/example.png"
HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
styles = pytest.mark.parametrize("path_style", [False, True], ids=["virtual-host", "path-style"])
versions = pytest.mark.parametrize("version", ["v1", "v4"])


_md5 = functools.partial(hashlib.md5, usedforsecurity=False)


def error_of(answer: Answer) -> dict[str, Any]:
    """The fields of `<Error>`, nested ones as dicts; checks the shape of facts/oss.md §5."""
    assert answer["content-type"] == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error>')
    root = xml(answer.body)
    found = {e.tag: {c.tag: c.text for c in e} if len(e) else e.text for e in root}
    assert list(found)[:2] == ["Code", "Message"]
    assert found["RequestId"] == answer["x-oss-request-id"]
    assert re.fullmatch(r"[0-9A-F]{24}", found["RequestId"])
    assert answer["server"] == "AliyunOSS"
    if "EC" in found:
        assert answer["x-oss-ec"] == found["EC"]
        assert found["RecommendDoc"] == f"https://api.alibabacloud.com/troubleshoot?q={found['EC']}"
    return found


def refuses(
    call: Callable[[], object], status: int, code: str, message: str | None = None, ec: str | None = None
) -> oss2.exceptions.OssError:
    """Run a call of oss2 that must be refused; check status, code, message and EC as oss2 reads them."""
    with pytest.raises(oss2.exceptions.OssError) as caught:
        call()
    error = caught.value
    assert (error.status, error.code) == (status, code), str(error)
    if message is not None:
        assert error.message == message
    if ec is not None:
        assert error.ec == ec
    assert re.fullmatch(r"[0-9A-F]{24}", error.request_id)
    return error


def signed(bucket: Any, method: str, key: str, **more: Any) -> str:
    """An address presigned by oss2."""
    url: str = bucket.sign_url(method, key, 300, slash_safe=True, **more)
    return url


def get(drive: Drive, key: str, *lines: str) -> Answer:
    """GET an object with curl, with these headers, at an address presigned by oss2, the sandbox as proxy."""
    oss = dict(line.split(": ") for line in lines if line.startswith("x-oss-"))
    args = [arg for line in lines for arg in ("-H", line)]
    return curl(*args, signed(drive.bucket(), "GET", key, headers=oss), proxy=drive.url)


# -- addresses and signatures (facts/oss.md §1, §6, §7) ------------------------------------------------------------


@styles
@versions
def test_round_trip(drive: Drive, version: str, path_style: bool) -> None:
    """facts/oss.md §1, §3: put, get, head, list, delete, in both signatures and both address styles."""
    bucket = drive.bucket(version=version, path_style=path_style)
    body = bytes(range(256)) * 1000
    key = "dir/a b+c&d=e?f#g%h~ü.bin"
    put = bucket.put_object(key, body)
    md5 = _md5(body)
    assert put.status == 200
    assert put.headers["ETag"] == f'"{md5.hexdigest().upper()}"'
    assert put.headers["Content-MD5"] == base64.b64encode(md5.digest()).decode()
    assert put.crc == crc64.xz(body)
    got = bucket.get_object(key)
    assert got.read() == body
    assert got.client_crc == got.server_crc == crc64.xz(body)
    head = bucket.head_object(key)
    assert (head.content_length, head.etag, head.object_type) == (
        len(body),
        md5.hexdigest().upper(),
        "Normal",
    )
    assert key in [o.key for o in bucket.list_objects_v2(prefix="dir/").object_list]
    assert bucket.delete_object(key).status == 204
    refuses(lambda: bucket.get_object(key), 404, "NoSuchKey")
    assert bucket.delete_object(key).status == 204, "deleting what is not there is no error"


@styles
@versions
def test_presigned_addresses(drive: Drive, version: str, path_style: bool) -> None:
    """facts/oss.md §6, §7: presigned GET and PUT, sent by curl."""
    bucket = drive.bucket(version=version, path_style=path_style)
    proxy = "" if path_style else drive.url
    key = "dir/pre signed+ü.txt"
    put = curl(
        "-X", "PUT", "--data-binary", "hello", "-H", "Content-Type:", signed(bucket, "PUT", key), proxy=proxy
    )
    assert (put.status, put.body) == (200, b"")
    assert curl(signed(bucket, "GET", key), proxy=proxy).body == b"hello"
    head = curl("-I", signed(bucket, "HEAD", key), proxy=proxy)
    assert (head.status, head["content-length"]) == (200, "5")
    wrong_method = curl("-X", "DELETE", signed(bucket, "GET", key), proxy=proxy)
    assert (wrong_method.status, error_of(wrong_method)["Code"]) == (403, "SignatureDoesNotMatch")


def test_expired_presigned_addresses(drive: Drive) -> None:
    """facts/oss.md §6, §7: Expires / x-oss-expires. The text is ours."""
    urls = [drive.bucket(version=v).sign_url("GET", PHOTO, 60, slash_safe=True) for v in ("v1", "v4")]
    assert [curl(url, proxy=drive.url).status for url in urls] == [200, 200]
    drive.sandbox.set(clock_skew=62)
    for url in urls:
        answer = curl(url, proxy=drive.url)
        assert (answer.status, error_of(answer)["Code"]) == (403, "AccessDenied")


def test_internal_endpoint_only_from_inside(drive: Drive) -> None:
    """facts/oss.md §1: the internal endpoint serves its region's instances; elsewhere it is silent (ours: 504)."""
    url = signed(drive.bucket(), "GET", PHOTO).replace("oss-cn-beijing.", "oss-cn-beijing-internal.")
    assert curl(url, proxy=drive.proxies[WEB2]).status == 200
    assert curl(url, proxy=drive.url).status == 504
    other = next(p for i, p in drive.proxies.items() if i.endswith("batch1"))
    assert curl(url, proxy=other).status == 504


def test_wrong_region_endpoint(drive: Drive) -> None:
    """facts/oss.md §1: AccessDenied "... must be addressed using the specified endpoint ..."."""
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )
    for version in ("v1", "v4"):
        bucket = drive.bucket(region="cn-hangzhou", version=version)
        error = refuses(lambda bucket=bucket: bucket.get_object(PHOTO), 403, "AccessDenied", text)  # type: ignore[misc]
        assert error.details["Endpoint"] == "oss-cn-beijing.aliyuncs.com"


def test_second_level_domain(drive: Drive) -> None:
    """facts/oss.md §1: a bucket request in path style at the service's domain is SecondLevelDomainForbidden."""
    bucket = drive.bucket(is_path_style=True)
    refuses(
        lambda: bucket.get_object(PHOTO),
        403,
        "SecondLevelDomainForbidden",
        "Please use virtual hosted style to access.",
    )
    assert [b.name for b in drive.service().list_buckets().buckets] == ["sandbox-backup", "sandbox-photos"]


def test_unknown_host_is_never_passed_on(drive: Drive) -> None:
    """Ours: NonStandardHostForbidden is OSS's; the sandbox as proxy refuses any host it does not serve (design §3)."""
    for host in (
        "example.com",
        "oss-cn-beijing.aliyuncs.com.example.com",
        "169.254.169.254",
        "localhost.example",
    ):
        answer = curl(f"http://{host}/x", proxy=drive.url)
        assert (answer.status, "does not serve" in answer.text) == (403, True)


# -- buckets (facts/oss.md §3) ---------------------------------------------------------------------------------


@versions
def test_list_buckets(drive: Drive, version: str) -> None:
    """facts/oss.md §3: ListBuckets, all regions, by oss2's own reading."""
    service = drive.service(version=version)
    found = service.list_buckets()
    assert [(b.name, b.location, b.storage_class) for b in found.buckets] == [
        ("sandbox-backup", "oss-cn-hangzhou", "Standard"),
        ("sandbox-photos", "oss-cn-beijing", "Standard"),
    ]
    assert found.owner.id == drive.account
    assert not found.is_truncated
    first = service.list_buckets(max_keys=1)
    assert (first.is_truncated, [b.name for b in first.buckets]) == (True, ["sandbox-backup"])
    rest = service.list_buckets(max_keys=1, marker=first.next_marker)
    assert (rest.is_truncated, [b.name for b in rest.buckets]) == (False, ["sandbox-photos"])
    assert [b.name for b in service.list_buckets(prefix="sandbox-p").buckets] == ["sandbox-photos"]


@styles
@versions
def test_bucket_info_and_location(drive: Drive, version: str, path_style: bool) -> None:
    """facts/oss.md §3: GetBucketInfo and GetBucketLocation."""
    bucket = drive.bucket(version=version, path_style=path_style)
    info = bucket.get_bucket_info()
    assert (info.name, info.location, info.storage_class) == ("sandbox-photos", "oss-cn-beijing", "Standard")
    assert info.extranet_endpoint == "oss-cn-beijing.aliyuncs.com"
    assert info.intranet_endpoint == "oss-cn-beijing-internal.aliyuncs.com"
    assert (info.acl.grant, info.owner.id) == ("private", drive.account)
    assert info.creation_date == "2026-01-15T08:00:00.000Z"
    assert bucket.get_bucket_location().location == "oss-cn-beijing"
    raw = bucket._do("GET", bucket.bucket_name, "", params={"location": ""}).read()
    assert raw.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<LocationConstraint xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">oss-cn-beijing</LocationConstraint>'
    )


# -- GetObject (facts/oss.md §2, §3) -----------------------------------------------------------------------------


@styles
def test_headers_of_an_object(drive: Drive, path_style: bool) -> None:
    """facts/oss.md §2, §3: the header set, on GET as on HEAD; the picture is what the world states."""
    stated = next(b for b in drive.sandbox.start_line["buckets"] if b["name"] == "sandbox-photos")["objects"]
    photo = next(o for o in stated if o["key"] == PHOTO)
    bucket, proxy = drive.bucket(path_style=path_style), "" if path_style else drive.url
    answer = curl(signed(bucket, "GET", PHOTO), proxy=proxy)
    assert answer.status == 200
    assert hashlib.sha256(answer.body).hexdigest() == photo["sha256"]
    md5 = _md5(answer.body)
    expected = {
        "etag": f'"{md5.hexdigest().upper()}"',
        "content-md5": base64.b64encode(md5.digest()).decode(),
        "content-type": "image/png",
        "content-length": str(photo["size"]),
        "accept-ranges": "bytes",
        "x-oss-object-type": "Normal",
        "x-oss-storage-class": "Standard",
        "x-oss-hash-crc64ecma": photo["crc64"],
        "server": "AliyunOSS",
    }
    head = curl("-I", signed(bucket, "HEAD", PHOTO), proxy=proxy)
    for given in (answer, head):
        assert {name: given[name] for name in expected} == expected
        assert re.fullmatch(r"[0-9A-F]{24}", given["x-oss-request-id"])
        assert given["x-oss-server-time"].isdigit()
        assert HTTP_DATE.fullmatch(given["date"])
        assert HTTP_DATE.fullmatch(given["last-modified"])
    assert head.body == b""
    assert photo["crc64"] == str(crc64.xz(answer.body))


def test_crc64_is_ecma_reflected(drive: Drive) -> None:
    """facts/oss.md §8: "123456789" is 11051210869376104954."""
    assert (
        drive.bucket().put_object("crc", b"123456789").headers["x-oss-hash-crc64ecma"]
        == "11051210869376104954"
    )


def test_get_object_meta(drive: Drive) -> None:
    """facts/oss.md §3: HEAD ?objectMeta answers ETag, size, Last-Modified and CRC only."""
    found = drive.bucket().get_object_meta(PHOTO)
    assert found.content_length == drive.bucket().head_object(PHOTO).content_length
    assert {"ETag", "Last-Modified", "x-oss-hash-crc64ecma"} <= set(found.headers)
    assert not {"Content-MD5", "x-oss-object-type", "x-oss-storage-class"} & set(found.headers)


def test_headers_given_at_upload_come_back(drive: Drive) -> None:
    """facts/oss.md §3: stored with the object; response-* overrides (signed) replace them, each header once."""
    bucket = drive.bucket()
    headers = {
        "Content-Type": "text/x-test",
        "Cache-Control": "max-age=1",
        "Content-Disposition": "inline",
        "Content-Language": "en",
        "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
        "x-oss-meta-colour": "blue",
    }
    bucket.put_object("kept", b"x", headers=headers)
    plain = get(drive, "kept")
    assert {name: plain[name] for name in headers} == headers
    overrides = {
        "response-content-type": ("content-type", "text/plain; charset=utf-8"),
        "response-content-language": ("content-language", "id"),
        "response-expires": ("expires", "Thu, 01 Jan 2098 00:00:00 GMT"),
        "response-cache-control": ("cache-control", "no-cache"),
        "response-content-disposition": ("content-disposition", 'attachment; filename="a b.txt"'),
    }
    for version in ("v1", "v4"):
        params = {name: value for name, (_, value) in overrides.items()}
        answer = curl(signed(drive.bucket(version=version), "GET", "kept", params=params), proxy=drive.url)
        assert answer.status == 200, answer.text
        assert {name: answer[name] for name, _ in overrides.values()} == dict(overrides.values())
        assert answer["x-oss-meta-colour"] == "blue"


def test_empty_and_large_objects(drive: Drive) -> None:
    """facts/oss.md §3: any size; larger ones go out with sendfile."""
    bucket = drive.bucket()
    for size in (0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000):
        body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        bucket.put_object("sized", body)
        got = bucket.get_object("sized")
        assert got.content_length == size
        assert got.read() == body
        assert bucket.head_object("sized").content_length == size


# -- ranges (facts/oss.md §3; https://www.alibabacloud.com/help/en/oss/how-to-obtain-oss-resources-by-segmenting-http-range-requests)

BODY = bytes(n % 251 for n in range(1000))
WHOLE = (200, None, BODY)
TABLE: list[tuple[str, tuple[int, str | None, bytes], tuple[int, str | None, bytes] | None]] = [
    # Range, answered by default, and with x-oss-range-behavior: standard (None: 416)
    ("bytes=0-499", (206, "bytes 0-499/1000", BODY[:500]), (206, "bytes 0-499/1000", BODY[:500])),
    ("bytes=500-", (206, "bytes 500-999/1000", BODY[500:]), (206, "bytes 500-999/1000", BODY[500:])),
    ("bytes=-500", (206, "bytes 500-999/1000", BODY[500:]), (206, "bytes 500-999/1000", BODY[500:])),
    ("bytes=0-", (206, "bytes 0-999/1000", BODY), (206, "bytes 0-999/1000", BODY)),
    ("bytes=-1000", (206, "bytes 0-999/1000", BODY), (206, "bytes 0-999/1000", BODY)),
    ("bytes=0-0", (206, "bytes 0-0/1000", BODY[:1]), (206, "bytes 0-0/1000", BODY[:1])),
    ("bytes=999-999", (206, "bytes 999-999/1000", BODY[999:]), (206, "bytes 999-999/1000", BODY[999:])),
    ("bytes=500-2000", WHOLE, (206, "bytes 500-999/1000", BODY[500:])),
    ("bytes=1000-2000", WHOLE, None),
    ("bytes=1000-", WHOLE, None),
    ("byte=0-499", WHOLE, WHOLE),
    # Not stated in the table: standard's answer to a suffix too long, and to malformed ones, is ours.
    ("bytes=-2000", WHOLE, (206, "bytes 0-999/1000", BODY)),
    ("bytes=500-100", WHOLE, WHOLE),
    ("bytes=abc", WHOLE, WHOLE),
    ("bytes=-", WHOLE, WHOLE),
    ("bytes=-0", WHOLE, WHOLE),
    # "only the first range is answered" (2026 page)
    ("bytes=0-9,20-29", (206, "bytes 0-9/1000", BODY[:10]), (206, "bytes 0-9/1000", BODY[:10])),
    ("bytes=10-19, 0-4", (206, "bytes 10-19/1000", BODY[10:20]), (206, "bytes 10-19/1000", BODY[10:20])),
]


@pytest.mark.parametrize(("header", "default", "standard"), TABLE, ids=[row[0] for row in TABLE])
def test_ranges(
    drive: Drive,
    header: str,
    default: tuple[int, str | None, bytes],
    standard: tuple[int, str | None, bytes] | None,
) -> None:
    """facts/oss.md §3: the table of ranges, for an object of 1000 bytes."""
    drive.bucket().put_object("k", BODY)

    def answered(*args: str) -> tuple[int, str | None, bytes]:
        answer = get(drive, "k", f"Range: {header}", *args)
        assert answer["content-length"] == str(len(answer.body))
        content_range = answer["content-range"] if "content-range" in answer.headers else None
        if answer.status < 300:
            assert answer["x-oss-hash-crc64ecma"] == str(crc64.xz(BODY)), "of the whole object"
        return answer.status, content_range, answer.body

    assert answered() == default
    if standard is not None:
        assert answered("x-oss-range-behavior: standard") == standard
    else:
        refused = get(drive, "k", f"Range: {header}", "x-oss-range-behavior: standard")
        found = error_of(refused)
        assert (refused.status, found["Code"]) == (416, "InvalidRange")
        assert found["Message"] == "The requested range cannot be satisfied"


def test_ranges_through_oss2(drive: Drive) -> None:
    """facts/oss.md §3, §8: oss2's byte_range, and resumable_download over many ranges."""
    bucket = drive.bucket()
    bucket.put_object("k", BODY)
    assert bucket.get_object("k", byte_range=(10, 19)).read() == BODY[10:20]
    assert bucket.get_object("k", byte_range=(None, 7)).read() == BODY[-7:]
    assert bucket.get_object("k", byte_range=(990, None)).read() == BODY[990:]
    assert bucket.get_object("k", byte_range=(990, 5000)).read() == BODY, "the whole object: read the status"


def test_ranges_of_an_empty_object(drive: Drive) -> None:
    """facts/oss.md §3: nothing fits into an empty object."""
    drive.bucket().put_object("empty", b"")
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        answer = get(drive, "empty", f"Range: {header}")
        assert (answer.status, answer.body) == (200, b"")


def test_multi_range_is_refused_clearly(drive: Drive) -> None:
    """Ours: x-oss-multi-range-behavior is not modelled (facts/oss.md §3, optional)."""
    answer = get(drive, PHOTO, "Range: bytes=0-1,3-4", "x-oss-multi-range-behavior: multi-range")
    assert (answer.status, error_of(answer)["Code"]) == (501, "NotImplemented")


# -- conditions (facts/oss.md §3, GetObject) -----------------------------------------------------------------------

EARLIER, LATER = "Thu, 01 Jan 2015 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"


def test_conditions(drive: Drive) -> None:
    """facts/oss.md §3: If-Modified-Since / If-None-Match: 304; If-Unmodified-Since / If-Match: 412."""
    etag = drive.bucket().head_object(PHOTO).etag
    modified = get(drive, PHOTO)["last-modified"]
    for header, status in (
        (f'If-Match: "{etag}"', 200),
        (f"If-Match: {etag}", 200),
        (f'If-Match: "{etag.lower()}"', 200),
        ('If-Match: "0"', 412),
        (f'If-None-Match: "{etag}"', 304),
        ('If-None-Match: "0"', 200),
        (f"If-Modified-Since: {EARLIER}", 200),
        (f"If-Modified-Since: {modified}", 304),
        (f"If-Modified-Since: {LATER}", 304),
        (f"If-Unmodified-Since: {LATER}", 200),
        (f"If-Unmodified-Since: {modified}", 200),
        (f"If-Unmodified-Since: {EARLIER}", 412),
        ("If-Modified-Since: nonsense", 200),
    ):
        answer = get(drive, PHOTO, header)
        assert answer.status == status, header
        if status == 304:
            assert answer.body == b""
            assert answer["etag"] == f'"{etag}"'
        if status == 412:
            found = error_of(answer)
            assert found["Code"] == "PreconditionFailed"
            assert found["Message"] == "At least one of the pre-conditions you specified did not hold."


def test_conditions_through_oss2(drive: Drive) -> None:
    """facts/oss.md §3, by oss2's own exceptions; HEAD too."""
    bucket = drive.bucket()
    for call in (bucket.get_object, bucket.head_object):
        with pytest.raises(oss2.exceptions.NotModified):
            call(PHOTO, headers={"If-None-Match": f'"{bucket.head_object(PHOTO).etag}"'})
        with pytest.raises(oss2.exceptions.PreconditionFailed):
            call(PHOTO, headers={"If-Match": '"0"'})


# -- PutObject (facts/oss.md §3) -----------------------------------------------------------------------------------


def test_forbid_overwrite(drive: Drive) -> None:
    """facts/oss.md §3: x-oss-forbid-overwrite: true is 409 FileAlreadyExists."""
    bucket, headers = drive.bucket(), {"x-oss-forbid-overwrite": "true"}
    assert bucket.put_object("once", b"first", headers=headers).status == 200
    refuses(
        lambda: bucket.put_object("once", b"second", headers=headers),
        409,
        "FileAlreadyExists",
        "The object you specified already exists and can not be overwritten.",
    )
    assert bucket.get_object("once").read() == b"first"
    bucket.put_object("once", b"third", headers={"x-oss-forbid-overwrite": "false"})
    assert bucket.get_object("once").read() == b"third"


def test_content_md5(drive: Drive) -> None:
    """Content-MD5 is checked (oss.md §3: PutObject, https://github.com/AlibabaCloudDocs/oss); InvalidDigest."""
    bucket = drive.bucket()
    good = base64.b64encode(_md5(b"body").digest()).decode()
    assert bucket.put_object("md5", b"body", headers={"Content-MD5": good}).status == 200
    error = refuses(
        lambda: bucket.put_object("md5", b"other", headers={"Content-MD5": good}), 400, "InvalidDigest"
    )
    assert error.details["CalculatedDigest"] == base64.b64encode(_md5(b"other").digest()).decode()
    assert bucket.get_object("md5").read() == b"body", "a refused upload changes nothing"


def test_chunked_upload(drive: Drive) -> None:
    """A body of unknown length (oss2 sends Transfer-Encoding: chunked for a generator)."""
    pieces = [b"a" * 10_000, b"b" * 100_000, b"", b"c"]
    drive.bucket().put_object("chunked", iter(pieces))
    assert drive.bucket().get_object("chunked").read() == b"".join(pieces)


def test_upload_sizes(drive: Drive) -> None:
    """facts/oss.md §3: at most 5 GB. The codes (EntityTooLarge, MissingContentLength) are ours."""
    admin = drive.users["admin"]
    for headers, status, code in (
        ({"Content-Length": str(5 * 1024**3 + 1)}, 400, b"<Code>EntityTooLarge</Code>"),
        ({}, 411, b"<Code>MissingContentLength</Code>"),
    ):
        reply = send(drive.url, oss_v1(admin, "PUT", "sandbox-photos", "k", headers=headers))
        assert (reply.status, code in reply.body) == (status, True)


def test_curl_waits_for_no_continue(drive: Drive) -> None:
    """A client that sends Expect: 100-continue (curl, the Java SDK) is told to go on at once, not after its time-out."""
    url = signed(drive.bucket(version="v1"), "PUT", "expected")
    began = time.perf_counter()
    answer = curl(
        *("-X", "PUT", "-H", "Expect: 100-continue", "-H", "Content-Type:", "--expect100-timeout", "5"),
        *("--data-binary", "@-", url),
        proxy=drive.url,
        data=b"x" * 2_000_000,
    )
    assert (answer.status, time.perf_counter() - began < 2.5) == (200, True)


def test_a_refused_upload_is_told_so(drive: Drive) -> None:
    """A large body that may not be stored: the client reads the refusal instead of a broken connection."""
    who = drive.session("AliyunOSSReadOnlyAccess", instance=WEB2)
    error = refuses(lambda: drive.bucket(who).put_object("big", b"x" * 20_000_000), 403, "AccessDenied")
    assert error.ec == "0003-00000001"


def test_unmodelled_upload_headers(drive: Drive) -> None:
    """Ours: refused with 501, never ignored."""
    for name, value in (
        ("x-oss-object-acl", "public-read"),
        ("x-oss-tagging", "a=b"),
        ("x-oss-server-side-encryption", "AES256"),
        ("x-oss-callback", "e30="),
        ("x-oss-storage-class", "IA"),
    ):
        refuses(
            lambda name=name, value=value: drive.bucket().put_object("k", b"", headers={name: value}),  # type: ignore[misc]
            501,
            "NotImplemented",
        )


# -- names (facts/oss.md §1) ---------------------------------------------------------------------------------------


def test_object_name_rules(drive: Drive) -> None:
    r"""facts/oss.md §1, §5: 1-1023 bytes of UTF-8, not starting with / or \."""
    bucket = drive.bucket()
    assert bucket.put_object("k" * 1023, b"").status == 200
    assert bucket.put_object("ü" * 511, b"").status == 200
    for key, message in (
        ("k" * 1024, "The Length of Object name must be less than 1024."),
        ("ü" * 512, "The Length of Object name must be less than 1024."),
        ("\\k", "The specified object is not valid."),
    ):
        refuses(lambda key=key: bucket.put_object(key, b""), 400, "InvalidObjectName", message)  # type: ignore[misc]
    for raw in ("/%2Fk", "/%5Ck", "/%FF"):
        answer = curl(f"http://sandbox-photos.oss-cn-beijing.aliyuncs.com{raw}", proxy=drive.url)
        assert (answer.status, error_of(answer)["Code"]) == (400, "InvalidObjectName")


@pytest.mark.parametrize("name", ["ab", "a" * 64, "-abc", "abc-", "a_b", "ABC", "a.b", "a%20b"])
def test_bucket_name_rules(drive: Drive, name: str) -> None:
    """facts/oss.md §1, §5: 3-63 of [a-z0-9-], starts and ends alphanumeric; oss2 checks before it sends, so curl."""
    answer = curl(f"{drive.url}/{name}/key")
    found = error_of(answer)
    assert (answer.status, found["Code"]) == (400, "InvalidBucketName")
    assert found["Message"] == "The specified bucket is not valid."


# -- refusals (facts/oss.md §5) ------------------------------------------------------------------------------------


@styles
@versions
def test_no_such_key(drive: Drive, version: str, path_style: bool) -> None:
    """facts/oss.md §5: NoSuchKey, EC 0026-00000001, the key in the body."""
    bucket = drive.bucket(version=version, path_style=path_style)
    error = refuses(
        lambda: bucket.get_object("no/key"),
        404,
        "NoSuchKey",
        "The specified key does not exist.",
        "0026-00000001",
    )
    assert error.details["Key"] == "no/key"
    expected_host = (
        drive.url.removeprefix("http://") if path_style else "sandbox-photos.oss-cn-beijing.aliyuncs.com"
    )
    assert error.details["HostId"] == expected_host


def test_no_such_bucket(drive: Drive) -> None:
    """facts/oss.md §5: NoSuchBucket, EC 0015-00000101, for every operation on a bucket or its objects."""
    bucket = drive.bucket(name="no-such-bucket")
    calls: list[Callable[[], object]] = [
        lambda: bucket.get_object("k"),
        lambda: bucket.put_object("k", b"x"),
        lambda: bucket.delete_object("k"),
        bucket.list_objects,
        bucket.list_objects_v2,
        bucket.get_bucket_info,
        bucket.get_bucket_location,
    ]
    for call in calls:
        error = refuses(call, 404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
        assert error.details["BucketName"] == "no-such-bucket"


@styles
def test_head_errors_travel_in_a_header(drive: Drive, path_style: bool) -> None:
    """facts/oss.md §3: HEAD's errors have no body; x-oss-err is the Base64 of the XML, and x-oss-ec."""
    bucket, proxy = drive.bucket(path_style=path_style), "" if path_style else drive.url
    refuses(
        lambda: bucket.head_object("nokey"),
        404,
        "NoSuchKey",
        "The specified key does not exist.",
        "0026-00000001",
    )
    refuses(lambda: bucket.get_object_meta("nokey"), 404, "NoSuchKey")
    answer = curl("-I", signed(bucket, "HEAD", "nokey"), proxy=proxy)
    assert (answer.status, answer.body, answer["x-oss-ec"]) == (404, b"", "0026-00000001")
    root = xml(base64.b64decode(answer["x-oss-err"]))
    assert (root.tag, root.findtext("Code"), root.findtext("Key")) == ("Error", "NoSuchKey", "nokey")


def test_error_body_is_the_documented_one(drive: Drive) -> None:
    """facts/oss.md §5: the elements of the documented sample, in its order."""
    found = error_of(get(drive, "nokey"))
    assert list(found) == ["Code", "Message", "RequestId", "HostId", "Key", "EC", "RecommendDoc"]


def test_anonymous(drive: Drive) -> None:
    """facts/oss.md §5: no credentials on a bucket operation is AccessDenied, EC 0003-00000002; objects: bucket acl."""
    host = "http://sandbox-photos.oss-cn-beijing.aliyuncs.com"
    for url, ec in (
        (f"{host}/", "0003-00000002"),
        (f"{host}/?bucketInfo", "0003-00000002"),
        ("http://oss-cn-beijing.aliyuncs.com/", "0003-00000002"),
        (f"{host}/{PHOTO}", "0003-00000001"),
        (f"{host}/nokey", "0003-00000001"),
    ):
        answer = curl(url, proxy=drive.url)
        found = error_of(answer)
        assert (answer.status, found["Code"], found["EC"]) == (403, "AccessDenied", ec), url
    assert found["Message"] == "You have no right to access this object because of bucket acl."


DETAIL = ["PolicyType", "AuthPrincipalOwnerId", "AuthPrincipalType", "AuthPrincipalDisplayName"]
DETAIL += ["NoPermissionType", "AuthAction"]


def test_implicit_deny_and_its_detail(drive: Drive) -> None:
    """facts/oss.md §5: EC 0003-00000001 and AccessDeniedDetail, parsed from the raw body (oss2 loses nested fields)."""
    who = drive.session(document(("Allow", "oss:List*", "*")))
    error = refuses(
        lambda: drive.bucket(who).get_object(PHOTO),
        403,
        "AccessDenied",
        "You have no right to access this object because of bucket acl.",
        "0003-00000001",
    )
    detail = xml(error.body).find("AccessDeniedDetail")
    assert detail is not None
    fields = {e.tag: e.text for e in detail}
    assert set(DETAIL) <= set(fields)
    assert fields["AuthAction"] == "oss:GetObject"
    assert fields["AuthPrincipalType"] == "AssumedRoleUser"
    assert (fields["AuthPrincipalDisplayName"] or "").startswith("EcsRamRole:vm-ram-i-")
    assert fields["AuthPrincipalOwnerId"] == drive.account
    assert fields["NoPermissionType"] == "ImplicitDeny"
    assert "AuthResource" not in fields, "signing.md §6: only after DecodeDiagnosticMessage"
    with pytest.raises(oss2.exceptions.AccessDenied) as caught:
        drive.bucket(who).head_object(PHOTO)
    hidden = xml(base64.b64decode(caught.value.headers["x-oss-err"]))
    assert hidden.findtext("AccessDeniedDetail/AuthAction") == "oss:GetObject", "HEAD needs oss:GetObject"


def test_explicit_deny_and_its_detail(drive: Drive) -> None:
    """facts/oss.md §5: an explicit RAM Deny reads "Access denied by bucket policy.", EC 0003-00000201.

    https://help.aliyun.com/en/oss/user-guide/0003-00000201
    """
    who = drive.session(
        document(("Allow", "oss:*", "*"), ("Deny", "oss:GetObject", "acs:oss:*:*:*/testfolder/*"))
    )
    bucket = drive.bucket(who)
    error = refuses(
        lambda: bucket.get_object(PHOTO),
        403,
        "AccessDenied",
        "Access denied by bucket policy.",
        "0003-00000201",
    )
    root = xml(error.body)
    assert root.findtext("AccessDeniedDetail/NoPermissionType") == "ExplicitDeny"
    assert root.findtext("AccessDeniedDetail/PolicyType") == "AccountLevelIdentityBasedPolicy"
    assert bucket.get_object("reports/2026/sales.csv").read()


def test_actions_of_each_operation(drive: Drive) -> None:
    """facts/oss.md §4: which action each operation needs, and on which resource."""
    calls: dict[str, tuple[str, str, Callable[[Any], object]]] = {
        "ListBuckets": ("oss:ListBuckets", "acs:oss:*:*:*", lambda w: drive.service(w).list_buckets()),
        "GetBucketInfo": (
            "oss:GetBucketInfo",
            "acs:oss:*:*:sandbox-photos",
            lambda w: drive.bucket(w).get_bucket_info(),
        ),
        "GetBucketLocation": (
            "oss:GetBucketLocation",
            "acs:oss:*:*:sandbox-photos",
            lambda w: drive.bucket(w).get_bucket_location(),
        ),
        "ListObjects": (
            "oss:ListObjects",
            "acs:oss:*:*:sandbox-photos",
            lambda w: drive.bucket(w).list_objects(),
        ),
        "ListObjectsV2": (
            "oss:ListObjects",
            "acs:oss:oss-cn-beijing:*:sandbox-photos",
            lambda w: drive.bucket(w).list_objects_v2(),
        ),
        "GetObject": (
            "oss:GetObject",
            f"acs:oss:*:*:sandbox-photos/{PHOTO}",
            lambda w: drive.bucket(w).get_object(PHOTO),
        ),
        "HeadObject": (
            "oss:GetObject",
            "acs:oss:*:*:sandbox-photos/*",
            lambda w: drive.bucket(w).head_object(PHOTO),
        ),
        "GetObjectMeta": (
            "oss:GetObject",
            "acs:oss:*:*:sandbox-photos/testfolder/*",
            lambda w: drive.bucket(w).get_object_meta(PHOTO),
        ),
        "PutObject": (
            "oss:PutObject",
            "acs:oss:*:*:sandbox-photos/new/*",
            lambda w: drive.bucket(w).put_object("new/x", b""),
        ),
        "DeleteObject": (
            "oss:DeleteObject",
            "acs:oss:*:*:sandbox-photos/new/x",
            lambda w: drive.bucket(w).delete_object("new/x"),
        ),
    }
    actions = sorted({action for action, _, _ in calls.values()})
    for number, (name, (action, resource, call)) in enumerate(calls.items()):
        right = drive.session(document(("Allow", action, resource)), role=f"Right{number}")
        call(right)
        drive.detach()
        others = [a for a in actions if a != action]
        wrong = drive.session(document(("Allow", others, "*")), role=f"Wrong{number}")
        refuses(lambda call=call, wrong=wrong: call(wrong), 403, "AccessDenied")  # type: ignore[misc]
        drive.detach()
        assert name


def test_bucket_acl_opens_objects_only(drive: Drive) -> None:
    """facts/policy.md §4.4: object calls fall back on the bucket's ACL, bucket calls do not; an explicit Deny wins.

    There is no PutBucketAcl yet, so the ACL is set in the state.
    """
    denied = drive.session(document(("Deny", "oss:GetObject", "*")), role="Denied")
    drive.detach()
    cut = drive.session(
        "AliyunOSSReadOnlyAccess", role="Cut", session_policy=document(("Allow", "ecs:*", "*"))
    )
    drive.detach()
    plain = drive.session(document(("Allow", "ecs:*", "*")), role="Plain")
    url = f"http://sandbox-photos.oss-cn-beijing.aliyuncs.com/{PHOTO}"
    for acl, reads, writes in (
        ("private", False, False),
        ("public-read", True, False),
        ("public-read-write", True, True),
    ):
        with sqlite3.connect(drive.sandbox.state / "state.db") as db:
            db.execute("UPDATE buckets SET acl=?", (acl,))
        db.close()
        assert (curl(url, proxy=drive.url).status == 200) is reads
        put = curl("-X", "PUT", "-d", "x", url + acl, proxy=drive.url)
        assert (put.status == 200) is writes
        assert curl(url.removesuffix(PHOTO), proxy=drive.url).status == 403, "listing is a bucket call"
        if reads:
            assert drive.bucket(plain).get_object(PHOTO).read()
            anonymous = curl(f"{url}?response-content-type=a/b", proxy=drive.url)
            assert (anonymous.status, error_of(anonymous)["Code"]) == (400, "InvalidRequest")
        else:
            refuses(lambda: drive.bucket(plain).get_object(PHOTO), 403, "AccessDenied", ec="0003-00000001")
        refuses(lambda: drive.bucket(denied).get_object(PHOTO), 403, "AccessDenied", ec="0003-00000201")
        refuses(lambda: drive.bucket(cut).get_object(PHOTO), 403, "AccessDenied")


def test_lint_worthy_mistakes_are_denied(drive: Drive) -> None:
    """facts/policy.md §8: bucket without /*, object pattern for listing, action names that do not exist."""
    who = drive.session(
        document(
            ("Allow", "oss:GetObject", "acs:oss:*:*:sandbox-photos"),
            ("Allow", "oss:ListObjects", "acs:oss:*:*:sandbox-photos/*"),
            ("Allow", ["oss:HeadObject", "oss:ListObjectsV2"], "*"),
        )
    )
    bucket = drive.bucket(who)
    for call in (
        lambda: bucket.get_object(PHOTO),
        lambda: bucket.head_object(PHOTO),
        bucket.list_objects_v2,
    ):
        refuses(call, 403, "AccessDenied")


def test_list_conditions_see_prefix_and_delimiter(drive: Drive) -> None:
    """facts/policy.md §3: the service keys oss:Prefix and oss:Delimiter."""
    who = drive.session(
        document(
            {
                "Effect": "Allow",
                "Action": "oss:ListObjects",
                "Resource": "acs:oss:*:*:sandbox-photos",
                "Condition": {
                    "StringLike": {"oss:Prefix": ["testfolder/*"]},
                    "StringEquals": {"oss:Delimiter": "/"},
                },
            }
        )
    )
    bucket = drive.bucket(who)
    assert len(bucket.list_objects_v2(prefix="testfolder/", delimiter="/").object_list) == 2
    refuses(lambda: bucket.list_objects_v2(prefix="", delimiter="/"), 403, "AccessDenied")
    refuses(lambda: bucket.list_objects_v2(prefix="testfolder/"), 403, "AccessDenied")


# -- what is not modelled (ours) -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda b: b.get_bucket_acl(),
        lambda b: b.get_object_acl(PHOTO),
        lambda b: b.get_bucket_lifecycle(),
        lambda b: b.get_bucket_stat(),
        lambda b: b.init_multipart_upload("k"),
        lambda b: b.batch_delete_objects([PHOTO]),
        lambda b: b.copy_object("sandbox-photos", PHOTO, "copy"),
        lambda b: b.append_object("k", 0, b"x"),
        lambda b: b.create_bucket(),
        lambda b: b.delete_bucket(),
        lambda b: b.get_object(PHOTO, process="image/resize,w_100"),
        lambda b: b.get_object(PHOTO, params={"versionId": "x"}),
        lambda b: b.get_bucket_access_monitor(),
        lambda b: b.put_object_tagging(PHOTO, oss2.models.Tagging()),
    ],
)
def test_unmodelled_operations(drive: Drive, call: Callable[[Any], object]) -> None:
    """Ours: 501 with a sentence that says what is missing; nothing is done or answered wrongly."""
    before = {o["key"]: o["sha256"] for b in drive.sandbox.start_line["buckets"] for o in b["objects"]}
    error = refuses(lambda: call(drive.bucket()), 501, "NotImplemented")
    assert "sandbox does not have" in error.message
    after = {o["key"]: o["sha256"] for b in drive.sandbox.start_line["buckets"] for o in b["objects"]}
    assert after == before


def test_head_of_what_is_not_modelled(drive: Drive) -> None:
    """Ours, as above, in HEAD's form."""
    answer = curl("-I", f"{drive.url}/sandbox-photos/")
    assert answer.status == 501
    assert b"NotImplemented" in base64.b64decode(answer["x-oss-err"])


def test_keys_with_odd_characters_survive(drive: Drive) -> None:
    """Percent-encoding, both ways, whatever the key (oss2 encodes it; `+` is a plus in OSS)."""
    bucket = drive.bucket()
    keys = [
        "a+b",
        "a b",
        "a%2Fb",
        "a%20b",
        "ü/ß",
        "日本",
        "a//b",
        "a/../b",
        "a/./b",
        "~!@#$^&()_=[]{};',",
        "a\tb",
        "\x01",
    ]
    for number, key in enumerate(keys):
        bucket.put_object(key, str(number).encode())
    for number, key in enumerate(keys):
        assert bucket.get_object(key).read() == str(number).encode(), key
    assert quote("a+b") != "a+b"
    plus = curl(f"{drive.url}/sandbox-photos/a+b")
    assert error_of(plus)["Code"] == "AccessDenied", (
        "a plus stays a plus: the object is there, anonymous may not read"
    )
