"""What the tests of OSS's operations share: reading refusals, sending signed requests that no SDK would build."""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import oss2
import pytest
from alibabacloud_ram20150501 import models as rm

from tests.sandbox.drive import Answer, Drive, curl, xml

__all__ = [
    "anonymous",
    "denied",
    "error_of",
    "md5",
    "pattern",
    "put_url",
    "read_answers",
    "refuses",
    "request",
    "uid",
]


@pytest.fixture(autouse=True)
def read_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what oss2 leaves open: it does not read the answers of copy_object and complete_multipart_upload."""
    answers: list[Any] = []
    send = oss2.Session.do_request

    def do_request(self: Any, made: Any, timeout: Any) -> Any:
        answer = send(self, made, timeout)
        answers.append(answer.response)
        return answer

    monkeypatch.setattr(oss2.Session, "do_request", do_request)
    yield
    for answer in answers:
        answer.close()


def refuses(
    call: Callable[[], object], status: int, code: str, message: str | None = None
) -> oss2.exceptions.OssError:
    """Run a call of oss2 that must be refused; check status, code and message as oss2 reads them."""
    with pytest.raises(oss2.exceptions.OssError) as caught:
        call()
    error = caught.value
    assert (error.status, error.code) == (status, code), str(error)
    if message is not None:
        assert error.message == message
    assert re.fullmatch(r"[0-9A-F]{24}", error.request_id)
    return error


def denied(call: Callable[[], object]) -> oss2.exceptions.OssError:
    """Run a call that must end in AccessDenied."""
    return refuses(call, 403, "AccessDenied")


def error_of(answer: Answer) -> dict[str, str]:
    """Return the plain fields of `<Error>`."""
    root = xml(answer.body)
    assert root.tag == "Error", answer.text
    assert answer["content-type"] == "application/xml"
    return {e.tag: e.text or "" for e in root}


def request(
    bucket: Any,
    method: str,
    key: str = "",
    *,
    query: dict[str, str] | None = None,
    headers: Any = None,
    data: Any = b"",
) -> Any:
    """Send one signed request as oss2 would, whatever it contains; returns `requests`' answer, never raises."""
    params = dict(query or {})
    made = oss2.http.Request(
        method,
        bucket._make_url(bucket.bucket_name, key),
        data=data,
        params=params,
        headers=headers,
        app_name=bucket.app_name,
        proxies=bucket.proxies,
        region=bucket.region,
        product=bucket.product,
    )
    bucket.auth._sign_request(made, bucket.bucket_name, oss2.compat.to_string(key))
    return bucket.session.do_request(made, timeout=20).response


def put_url(drive: Drive, url: str, *args: str, data: bytes = b"", method: str = "PUT") -> Answer:
    """Send to a presigned address with curl, without a Content-Type of curl's own."""
    body = ["--data-binary", "@-"] if data or method in ("PUT", "POST") else []
    return curl("-X", method, *body, "-H", "Content-Type:", *args, url, proxy=drive.url, data=data)


def uid(drive: Drive, name: str) -> str:
    """Return a user's numeric id, which a bucket policy names."""
    found: str = drive.ram().get_user(rm.GetUserRequest(user_name=name)).body.user.user_id
    return found


md5 = functools.partial(hashlib.md5, usedforsecurity=False)


def pattern(size: int, seed: int = 1) -> bytes:
    """Return bytes that differ from place to place."""
    return random.Random(seed).randbytes(size)


def anonymous(drive: Drive, name: str = "sandbox-photos") -> Any:
    """Return a bucket nobody signs for."""
    return oss2.Bucket(
        oss2.AnonymousAuth(), "http://oss-cn-beijing.aliyuncs.com", name, proxies={"http": drive.url}
    )
