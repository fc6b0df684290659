"""What a request's XML may do to the sandbox: nothing. And the same for everything else a parser reads.

`fuzz` below feeds every operation that has a body with mutilated ones; test_oss_operations_table.py names the operations.
"""

from __future__ import annotations

import base64
import random
import time

import pytest

from tests.sandbox.drive import Drive, xml
from tests.sandbox.oss_help import (
    md5,
    read_answers,  # noqa: F401 - a fixture
    request,
)

PHOTO = "testfolder/example.png"
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + "]>"
)
# Operation, method, key, query, root element.
BODIES = [
    ("DeleteMultipleObjects", "POST", "", {"delete": ""}, "Delete"),
    ("PutObjectTagging", "PUT", PHOTO, {"tagging": ""}, "Tagging"),
    ("PutBucket", "PUT", "", {}, "CreateBucketConfiguration"),
    ("CompleteMultipartUpload", "POST", "k", {"uploadId": "?"}, "CompleteMultipartUpload"),
]
operations = pytest.mark.parametrize(
    ("method", "key", "query", "root"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES]
)


def send(drive: Drive, method: str, key: str, query: dict[str, str], body: bytes) -> tuple[int, str]:
    bucket = drive.bucket()
    if "uploadId" in query:
        query = {"uploadId": bucket.init_multipart_upload(key).upload_id}
    headers = {"Content-MD5": base64.b64encode(md5(body).digest()).decode()}
    started = time.perf_counter()
    answer = request(bucket, method, key, query=query, headers=headers, data=body)
    assert time.perf_counter() - started < 5
    code = xml(answer.content).findtext("Code") if answer.status_code != 200 else ""
    return answer.status_code, code or ""


@operations
@pytest.mark.parametrize(
    "template",
    [
        LAUGHS + "<{root}>&lol9;</{root}>",
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x"><{root}/>',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><{root}>&e;</{root}>',
        "<{root}>&undefined;</{root}>",
        "<{root}>" + "<a>" * 50_000,
        "<{root}>" + "<a>" * 50 + "</a>" * 50 + "</{root}>",
        "<{root}>" + "<a/>" * 150_000 + "</{root}>",
        "<{root}",
        "<{root}></{root}><{root}></{root}>",
        "{root}",
        "<Wrong></Wrong>",
        '<?xml version="1.0" encoding="no-such"?><{root}/>',
        '<?xml version="1.0" encoding="utf-16"?><{root}/>',
        "<{root}>\x00</{root}>",
        '<{root} a="1" a="2"/>',
    ],
    ids=range(15),
)
def test_hostile_xml(
    drive: Drive, method: str, key: str, query: dict[str, str], root: str, template: str
) -> None:
    """Bounded in time, always a 400, never a 500: MalformedXML."""
    status, code = send(drive, method, key, query, template.replace("{root}", root).encode())
    assert (status, code) == (400, "MalformedXML")


@operations
def test_huge_xml(drive: Drive, method: str, key: str, query: dict[str, str], root: str) -> None:
    """More than 5 MiB is refused before it is parsed."""
    body = f"<{root}>".encode() + b" " * (5 * 1024 * 1024) + f"</{root}>".encode()
    assert send(drive, method, key, query, body) == (400, "MalformedXML")


@operations
def test_bytes_that_are_no_text(
    drive: Drive, method: str, key: str, query: dict[str, str], root: str
) -> None:
    for body in (b"\xff\xfe\x00", b"<" + root.encode() + b">\xff</" + root.encode() + b">", b"\x00" * 100):
        assert send(drive, method, key, query, body) == (400, "MalformedXML")


def test_fuzz(drive: Drive) -> None:
    """Good bodies, mutilated at random: every answer is a 2xx or a 4xx (and 501 for a version that is asked for)."""
    inside = {
        "Delete": "<Quiet>false</Quiet><Object><Key>none/a</Key></Object>",
        "Tagging": "<TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>",
        "CreateBucketConfiguration": "<StorageClass>Standard</StorageClass>",
        "CompleteMultipartUpload": "<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>",
    }
    good = {root: f"<{root}>{text}</{root}>".encode() for root, text in inside.items()}
    dice = random.Random(20260924)
    for _ in range(60):
        for _, method, key, query, root in BODIES:
            body = bytearray(good[root])
            for _ in range(dice.randrange(1, 4)):
                place = dice.randrange(len(body))
                what = dice.randrange(4)
                if what == 0:
                    body[place] = dice.randrange(256)
                elif what == 1:
                    del body[place : place + dice.randrange(1, 9)]
                elif what == 2:
                    body[place:place] = body[: dice.randrange(1, 30)]
                else:
                    body[place:place] = dice.randbytes(3)
                body = body or bytearray(b"x")
            status, _code = send(drive, method, key, query, bytes(body))
            assert status in (200, 400, 404, 409, 501), (root, bytes(body))
