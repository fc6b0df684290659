"""Every operation of OSS with parameters and headers nobody should send: always an answer, never a fault of ours."""

from __future__ import annotations

import random

from ramrole_nb.sandbox.services.oss.registry import OssOperation, oss_operations
from tests.sandbox.drive import Drive
from tests.sandbox.oss_help import (
    read_answers,  # noqa: F401 - a fixture
    request,
)

VALUES = [
    "",
    "0",
    "1",
    "-1",
    "9" * 30,
    "x",
    "ü",
    "a/b",
    "/",
    "\x00",
    "%",
    "..",
    "url",
    "1001",
    "٣",
    "a" * 300,
]
HEADERS = [
    *("", "0", "x", "yes", "true", "/", "%FF", "a=1&a=2", "a=1", "public-read", "default", "COPY", "Replace"),
    *("/sandbox-photos/testfolder/example.png", "/sandbox-photos/log", "/a/b", "bytes=0-9", "bytes=5-"),
    *(
        "bytes=999999999999-",
        "Fri, 24 Feb 2012 17:00:00 GMT",
        "Mon, 99 Foo 99999999999 99:99:99 GMT",
        "1" * 400,
    ),
]
BODIES = [b"", b"x", b"{", b"<Delete/>", b"<Tagging><TagSet/></Tagging>", b"<CompleteMultipartUpload/>"]
KEYS = ["k", "log", "testfolder/example.png", "ü b"]


def ask(drive: Drive, dice: random.Random, operation: OssOperation, upload_id: str) -> int:
    query = {}
    for name in filter(None, operation.sub.split("&")):
        if name == "list-type=2":
            query["list-type"] = "2"
        else:
            wild = name in ("uploadId", "partNumber", "position")
            query[name] = dice.choice([*VALUES, upload_id, "1", "2"]) if wild else ""
    query |= {name: dice.choice(VALUES) for name in operation.params if dice.random() < 0.4}
    headers = {
        name: dice.choice(HEADERS)
        for name in [*sorted(operation.headers - {"x-oss-meta-*"}), "range", "content-md5", "x-oss-meta-a"]
        if dice.random() < 0.2 or (operation.copies and name == "x-oss-copy-source")
    }
    bucket = drive.bucket(version=dice.choice(["v1", "v4"]))
    key = dice.choice(KEYS) if operation.level == "object" else ""
    answer = request(bucket, operation.method, key, query=query, headers=headers, data=dice.choice(BODIES))
    status: int = answer.status_code
    return status


def test_every_operation_answers(drive: Drive) -> None:
    dice = random.Random(33)
    operations = [o for o in oss_operations() if o.level != "service"]
    for turn in range(len(operations) * 10):
        if turn % 40 == 0:
            drive.sandbox.reset()
            upload_id = drive.bucket().init_multipart_upload("k").upload_id
        operation = operations[turn % len(operations)]
        status = ask(drive, dice, operation, upload_id)
        assert status < 500 or status == 501, (operation.name, turn)
