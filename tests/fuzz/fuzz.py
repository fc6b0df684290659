"""Bent requests at every parser of a running sandbox: none may end in a 500, hang, or make the server grow.

    python -m tests.fuzz.fuzz --seconds 600          # ten minutes; prints what it did
    python -m tests.fuzz.fuzz --seed 7 --only 1234   # one case again, shown

Each case follows from the seed and its number alone. Only loopback is talked to.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import hashlib
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import ramrole_nb.sandbox.services.ecs
import ramrole_nb.sandbox.services.ram
import ramrole_nb.sandbox.services.sts  # noqa: F401 - these register their operations
from ramrole_nb.sandbox.openapi import operations
from ramrole_nb.sandbox.signing.oss_v1 import SUBRESOURCES
from tests.load import talk
from tests.load.served import Served
from tests.load.talk import Connection, Key, Request

PATIENCE = 8.0  # seconds in which every request is answered, or its connection closed
BUCKETS = ("sandbox-photos", "sandbox-backup", "no-such-bucket", "a" * 63, "A_b", "..", "")
KEYS = ("testfolder/example.png", "reports/2026/sales.csv", "nothing", "a" * 1023, "a" * 1024, "é/ü ü", "")
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "get", "X" * 40)

ODD = (
    "", " ", "0", "-1", "1e99", "9" * 30, "٣", "NaN", "null", "true", "[]", "{}", '"', "'", "\\", "\\\\x", "%", "%zz",
    "%00", "../..", "a" * 5000, "\u0000", "\ud7ff", "\U0001f511", "é", "<", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "*", "?", "**" * 40, "acs:ram::1:role/x", "acs:oss:*:*:*", "2026-01-01T00:00:00Z", "bytes=0-", "=", "&", ";", ",",
    "{" * 300, "[" * 300, "(" * 300, "x=" * 200, "\r\n", "\t", "\u2028", "inf", "0x10", "1_000", "+1", "١٢",
)  # fmt: skip

RANGES = (
    "bytes=0-0", "bytes=0-499", "bytes=-1", "bytes=-0", "bytes=5-2", "bytes=0-0,2-3", "bytes=" + "9" * 40 + "-",
    "bytes=--1", "bytes=a-b", "bytes", "bytes=", "items=0-1", "bytes=0-" + "9" * 400, "bytes=٣-٤", "bytes= 0 - 1",
)  # fmt: skip

POLICY = {
    "Version": "1",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["oss:Get*", "ecs:*"],
            "Resource": "acs:oss:*:*:sandbox-photos/*",
            "Condition": {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8"]}, "Bool": {"acs:SecureTransport": "true"}},
            "Principal": {"Service": ["ecs.aliyuncs.com"], "RAM": ["acs:ram::1:root"]},
        }
    ],
}  # fmt: skip

XML = (
    "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>",
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"0"</ETag></Part></CompleteMultipartUpload>',
    "<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>",
    "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><Delete>&b;</Delete>",
    "<a>" * 400,
)  # fmt: skip


@dataclass
class Target:
    """What the requests are made of."""

    port: int
    admin: Key
    proxies: tuple[str, ...]
    token: str
    instances: tuple[str, ...]


@dataclass
class Report:
    """What came of it."""

    cases: collections.Counter[str] = field(default_factory=collections.Counter)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    bad: list[str] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.cases.values())

    def __str__(self) -> str:
        memory = " ".join(f"{value:.0f}" for value in self.rss)
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(self.cases.items()))
        return (
            f"{self.total:,} requests in {self.seconds:.0f} s; bad: {len(self.bad)}; slowest {self.slowest:.2f} s\n"
            f"kinds: {kinds}\nanswers: {dict(sorted(self.statuses.items()))}\nserver's memory, MiB: {memory}"
        )


# -- bending -----------------------------------------------------------------------------------------------------


def text(rng: random.Random) -> str:
    """Return an odd text."""
    chosen = rng.random()
    if chosen < 0.7:
        return rng.choice(ODD)
    if chosen < 0.85:
        return "".join(chr(rng.randrange(0x20, 0x2FF)) for _ in range(rng.randrange(1, 40)))
    return rng.choice(ODD) + rng.choice(ODD)


def bend_text(rng: random.Random, value: str) -> str:
    """Return a text with something wrong in it."""
    if not value or rng.random() < 0.2:
        return text(rng)
    at = rng.randrange(len(value))
    match rng.randrange(6):
        case 0:
            return value[:at] + value[at + 1 :]
        case 1:
            return value[:at] + chr(rng.randrange(0x21, 0x17F)) + value[at + 1 :]
        case 2:
            return value[:at] + text(rng) + value[at:]
        case 3:
            return value[:at]
        case 4:
            return value + value
    return value.swapcase()


def bend_json(rng: random.Random, value: object) -> object:
    """Return a JSON value with parts of it of another kind, gone, or repeated."""
    if rng.random() < 0.12:
        return rng.choice([None, True, 0, -1.5, 10**40, "", "*", [], {}, [[]], {"": {}}, text(rng)])
    if isinstance(value, dict):
        bent = {bend_text(rng, k) if rng.random() < 0.06 else k: bend_json(rng, v) for k, v in value.items()}
        if bent and rng.random() < 0.1:
            bent.pop(rng.choice(list(bent)))
        return bent
    if isinstance(value, list):
        bent_list = [bend_json(rng, v) for v in value]
        return bent_list * rng.choice([1, 1, 1, 0, 2, 30])
    return bend_text(rng, value) if isinstance(value, str) and rng.random() < 0.2 else value


def bend_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with some changed, gone, repeated or inserted."""
    bent = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(bent) + 1)
        match rng.randrange(5):
            case 0 if bent:
                bent[at % len(bent)] ^= 1 << rng.randrange(8)
            case 1:
                del bent[at : at + rng.randrange(1, 20)]
            case 2:
                bent[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 3:
                bent[at:at] = rng.choice([b"\r\n", b"\r\n\r\n", b"\x00", b": ", b" ", b"%", b"\xff\xfe"])
            case _:
                bent[at:at] = bent[max(0, at - 30) : at]
    return bytes(bent)


def document(rng: random.Random) -> str:
    """Return a policy document, more or less."""
    made = json.dumps(bend_json(rng, POLICY), ensure_ascii=rng.random() < 0.5)
    return bend_text(rng, made) if rng.random() < 0.3 else made


# -- the kinds of requests ---------------------------------------------------------------------------------------


def _value(rng: random.Random, target: Target, name: str) -> str:
    if "Policy" in name and "Name" not in name and "Type" not in name and rng.random() < 0.8:
        return document(rng)
    known = {
        "RegionId": ["cn-beijing", "cn-hangzhou"],
        "InstanceIds": [
            json.dumps(list(target.instances[:2])),
            json.dumps(target.instances),
            "[1]",
            '[["a"]]',
        ],
        "InstanceId": list(target.instances[:2]),
        "RoleName": ["Fuzz", "Other"],
        "RamRoleName": ["Fuzz", "Other"],
        "PolicyName": ["AliyunOSSReadOnlyAccess", "FuzzPolicy"],
        "PolicyType": ["System", "Custom"],
        "Marker": [base64.b64encode(b"1").decode(), "!!", "MQ"],
        "MaxItems": ["1", "1000", "-5"],
        "Tag": ['[{"Key":"a","Value":"b"}]', "[{}]", "{}", "[1]", '[{"Key":[]}]'],
        "VersionId": ["v1", "v2", "v999"],
        "UserName": ["admin", "operator"],
        "PageSize": ["1", "50"],
        "HttpTokens": ["optional", "required"],
    }
    value = rng.choice(known.get(name, [text(rng)]))
    return bend_text(rng, value) if rng.random() < 0.25 else value


# RunCommand would run what it is sent: that is no parser's business.
_LEFT_OUT = {"RunCommand", "InvokeCommand", "CreateCommand", "StopInvocation"}


def openapi_form(rng: random.Random, target: Target) -> Request:
    """A well signed call of any operation, with odd parameters."""
    found = rng.choice([o for o in operations() if o.name not in _LEFT_OUT])
    params = {p.name: _value(rng, target, p.name) for p in found.params if rng.random() < 0.9}
    if rng.random() < 0.2:
        params[bend_text(rng, "Name.1")] = text(rng)
    clean = {k: v for k, v in params.items() if "\x00" not in k}
    make = rng.choice([talk.acs3_call, talk.rpc_call])
    return make(target.admin, found.product, found.name, clean)


def openapi_headers(rng: random.Random, target: Target) -> Request:
    """A call with one header of its own bent."""
    request = talk.acs3_call(target.admin, rng.choice(["Ram", "Ecs", "Sts"]), "GetCallerIdentity")
    name, value = rng.choice(request.headers)
    bent = bend_text(rng, value).replace("\r", "").replace("\n", "").replace("\x00", "")
    return request.with_header(name, rng.choice([bent, bent, None]))


def openapi_body(rng: random.Random, _: Target) -> Request:
    """A form in the body: broken encodings, repeats, JSON, XML."""
    body = rng.choice(
        [
            "&".join(
                f"{quote_plus(text(rng))}={quote_plus(text(rng))}" for _i in range(rng.randrange(1, 30))
            ),
            "Action=GetRole&Version=2015-05-01&" + text(rng),
            "Action=A&Action=B",
            "&" * 1000,
            json.dumps(bend_json(rng, POLICY)),
            rng.choice(XML),
        ]
    )
    headers = {"Host": "ram.aliyuncs.com", "Content-Type": "application/x-www-form-urlencoded"}
    headers |= rng.choice([{}, {"x-acs-action": "GetRole", "x-acs-version": "2015-05-01"}])
    sent = body.encode("utf-8", "surrogatepass")
    return Request("POST", "http://ram.aliyuncs.com/", tuple(headers.items()), sent)


def oss_object(rng: random.Random, target: Target) -> Request:
    """A well signed OSS request with odd range, conditions, query, metadata or body."""
    headers: dict[str, str] = {}
    if rng.random() < 0.6:
        headers["range"] = rng.choice(RANGES) if rng.random() < 0.7 else bend_text(rng, rng.choice(RANGES))
    for name in ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "content-md5"):
        if rng.random() < 0.15:
            headers[name] = rng.choice(["*", '"0"', "Mon, 01 Jan 2035 00:00:00 GMT", text(rng)])
    for name in (
        "x-oss-range-behavior",
        "x-oss-meta-a",
        "x-oss-object-acl",
        "x-oss-tagging",
        "x-oss-copy-source",
    ):
        if rng.random() < 0.1:
            headers[name] = text(rng)
    headers = {n: "".join(c for c in v if c >= " ").strip() for n, v in headers.items()}
    listing = ["prefix", "delimiter", "marker", "max-keys", "encoding-type", "list-type", "delete"]
    names = sorted([*SUBRESOURCES, *listing])
    query = [
        (rng.choice(names), rng.choice(["", "", "2", text(rng)]))
        for _ in range(rng.choice([0, 0, 0, 0, 0, 1, 1, 2, 4]))
    ]
    method = rng.choice(METHODS[:5])
    key = KEYS[0] if rng.random() < 0.4 else rng.choice(KEYS)
    if method == "DELETE" and key == KEYS[0]:
        method = "GET"
    body = b""
    if method in ("PUT", "POST"):
        made = rng.choice(XML)
        body = (bend_text(rng, made) if rng.random() < 0.6 else made).encode("utf-8", "surrogatepass")
        key = f"fuzz/{rng.randrange(50)}" if key else ""
    bucket = rng.choice(BUCKETS[:2]) if rng.random() < 0.8 else rng.choice(BUCKETS)
    if method in ("PUT", "DELETE") and not key:
        bucket = f"fuzz-{rng.randrange(20)}"
    version = rng.choice(["v4", "v4", "v1"])
    return talk.oss(
        target.admin, method, bucket, key, query=query, headers=headers, body=body, version=version
    )


def _bend_xml(rng: random.Random, made: str) -> str:
    """Return XML with an element's text odd, an element gone, repeated or unclosed, or characters wrong."""
    match rng.randrange(5):
        case 0:
            return made
        case 1:
            parts = made.split("<")
            at = rng.randrange(len(parts))
            odd = text(rng).replace("<", "&lt;")
            return "<".join(
                p.partition(">")[0] + ">" + odd if i == at and ">" in p else p for i, p in enumerate(parts)
            )
        case 2:
            at = rng.randrange(len(made))
            return made[:at] + made[made.find("<", at) :] * rng.choice([1, 2, 50])
        case 3:
            return bend_text(rng, made)
    return rng.choice(XML)


def oss_documents(rng: random.Random, target: Target) -> Request:
    """A well signed request of an operation that reads a document: XML, or a policy."""
    part = {"uploadId": "0" * 32, "partNumber": rng.choice(["1", "0", "10001", "x", "-1"])}
    chosen: tuple[str, str, dict[str, str], str] = rng.choice(
        [
            ("POST", "", {"delete": ""}, XML[0]),
            ("POST", "fuzz/m", {"uploads": ""}, ""),
            ("POST", "fuzz/m", {"uploadId": "0" * 32}, XML[1]),
            ("PUT", "fuzz/m", part, "x"),
            ("PUT", "fuzz/1", {"tagging": ""}, XML[3]),
            ("PUT", "fuzz/1", {"acl": ""}, ""),
            (
                "POST",
                "fuzz/a",
                {"append": "", "position": rng.choice(["0", "1", "-1", "x", "9" * 40])},
                "abc",
            ),
            ("PUT", "", {"policy": ""}, json.dumps(bend_json(rng, POLICY))),
            ("PUT", "", {}, XML[2]),
            ("GET", "", {"uploads": "", "max-uploads": rng.choice(["1", "0", "x"])}, ""),
        ]
    )
    method, key, query, body = chosen
    bucket = BUCKETS[0] if key or "delete" in query else f"fuzz-{rng.randrange(20)}"
    sent = (_bend_xml(rng, body) if body.startswith("<") else body).encode("utf-8", "surrogatepass")
    headers = {}
    if rng.random() < 0.6:
        headers["content-md5"] = base64.b64encode(hashlib.md5(sent, usedforsecurity=False).digest()).decode()
    if rng.random() < 0.2:
        headers["x-oss-tagging"] = quote(text(rng))
    if rng.random() < 0.2:
        headers["x-oss-copy-source"] = quote(rng.choice([f"/{BUCKETS[0]}/{KEYS[0]}", "/", "a/b", text(rng)]))
        headers["x-oss-copy-source-range"] = rng.choice(RANGES)
        sent = b"" if rng.random() < 0.7 else sent
    pairs = [(n, bend_text(rng, v) if v and rng.random() < 0.1 else v) for n, v in query.items()]
    return talk.oss(target.admin, method, bucket, key, query=pairs, headers=headers, body=sent)


def oss_headers(rng: random.Random, target: Target) -> Request:
    """An OSS request with its signature headers bent."""
    request = talk.oss(target.admin, "GET", BUCKETS[0], KEYS[0], version=rng.choice(["v4", "v1"]))
    name, value = rng.choice(request.headers[1:])
    bent = "".join(c for c in bend_text(rng, value) if c not in "\r\n\x00")
    return request.with_header(name, rng.choice([bent, bent, bent, None]))


def presigned(rng: random.Random, target: Target) -> Request:
    """A presigned URL, its query bent."""
    request = talk.oss_url(target.admin, BUCKETS[0], KEYS[0], version=rng.choice(["v4", "v1"]))
    path, _, query = request.target.partition("?")
    pairs = [part.partition("=")[::2] for part in query.split("&")]
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    match rng.randrange(4):
        case 0:
            pairs.pop(at)
        case 1:
            pairs.append((name, quote(text(rng))))
        case 2:
            pairs[at] = (quote(bend_text(rng, name)), value)
        case _:
            pairs[at] = (name, quote(bend_text(rng, unquote(value))))
    return Request("GET", path + "?" + "&".join(f"{n}={v}" for n, v in pairs), request.headers)


def metadata(rng: random.Random, target: Target) -> Request:
    """A metadata request: path, method, token, TTL."""
    path = rng.choice(
        [
            "/latest/meta-data/", "/latest/api/token", talk.CREDENTIALS, talk.CREDENTIALS + "Fuzz", "/latest/user-data",
            "/latest/dynamic/instance-identity/document", "/latest/meta-data/network/interfaces/macs/", "/",
        ]
    )  # fmt: skip
    if rng.random() < 0.6:
        path = "/" + quote(bend_text(rng, path).lstrip("/"), safe="/%?#&=;")
    headers = {}
    if rng.random() < 0.5:
        headers[talk.TOKEN] = rng.choice([text(rng), base64.b64encode(rng.randbytes(48)).decode(), "A" * 64])
    if rng.random() < 0.5:
        headers[talk.TTL] = rng.choice(["60", "0", "21601", "-1", "٣", "1.5", text(rng)])
    if rng.random() < 0.1:
        headers["X-Forwarded-For"] = text(rng)
    headers = {n: "".join(c for c in v if c >= " ").strip() for n, v in headers.items()}
    return talk.imds(rng.choice(target.proxies), path, rng.choice(["GET", "GET", "PUT", *METHODS]), headers)


def proxy_user(rng: random.Random, _: Target) -> Request:
    """A proxy user nobody is."""
    sent = rng.choice(
        [
            "Basic " + base64.b64encode(text(rng).encode("utf-8", "replace")).decode(),
            "Basic " + base64.b64encode(rng.randbytes(rng.randrange(40))).decode(),
            "Basic " + bend_text(rng, "aS0xOng="),
            "Bearer x", "Basic", "basic  :", "Digest a=b",
        ]
    )  # fmt: skip
    sent = "".join(c for c in sent if c >= " ")
    host = rng.choice(["100.100.100.200", "oss-cn-beijing.aliyuncs.com", "ram.aliyuncs.com", "example.com"])
    return Request("GET", f"http://{host}/", (("Host", host), ("Proxy-Authorization", sent)))


def admin_json(rng: random.Random, target: Target) -> Request:
    """The admin interface, with what is no order."""
    what = rng.choice(
        ["knobs", "fault", "reset", "nothing", "journal?since=a", "journal?wait=x", "status/../x"]
    )
    sent: object = {
        "knobs": {"metadata_delay": rng.choice(["a", None, [], -1, 1e9]), text(rng): 1},
        "fault": {"name": text(rng), "on": rng.choice([1, "x", True]), "instances": rng.choice([1, [[]], ["x"]])},
        "reset": {"world": rng.choice(["x", [], 7, {"a": 1}])},
    }.get(what, bend_json(rng, POLICY))  # fmt: skip
    body = json.dumps(sent)
    if rng.random() < 0.3:
        body = bend_text(rng, body)
        if what == "reset":  # an empty object would be an order
            body = "[" + body
    method = "POST" if "?" not in what and rng.random() < 0.9 else "GET"
    token = target.token if rng.random() < 0.9 else "x"
    headers = (("Host", "127.0.0.1"), ("x-sandbox-token", token))
    return Request(method, f"/_sandbox/{what}", headers, body.encode("utf-8", "surrogatepass"))


WELL_FORMED: dict[str, Callable[[random.Random, Target], Request]] = {
    "openapi-parameters": openapi_form,
    "openapi-headers": openapi_headers,
    "openapi-body": openapi_body,
    "oss": oss_object,
    "oss-documents": oss_documents,
    "oss-headers": oss_headers,
    "oss-presigned": presigned,
    "metadata": metadata,
    "proxy-user": proxy_user,
    "admin": admin_json,
}

_STARTS = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://100.100.100.200/latest/ HTTP/1.1\r\nHost: 100.100.100.200\r\n\r\n",
    b"CONNECT oss-cn-beijing.aliyuncs.com:443 HTTP/1.1\r\nHost: oss-cn-beijing.aliyuncs.com:443\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: ram.aliyuncs.com\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost:\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"Host: 127.0.0.1\r\n\r\n",
    b"PUT /sandbox-photos/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    b"PUT /sandbox-photos/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"PUT /sandbox-photos/x HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100,
    b"CONNECT \r\n\r\n",
    b"CONNECT \r\nHost: 127.0.0.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    b"GET http:///x HTTP/1.1\r\nHost: \r\n\r\n",
    b"GET http://user:pass@ram.aliyuncs.com:99999/ HTTP/1.1\r\nHost: ram.aliyuncs.com:99999\r\n\r\n",
)


def raw(rng: random.Random, target: Target) -> bytes:
    """HTTP, more or less; or a good request with some bytes wrong."""
    if rng.random() < 0.5:
        start = rng.choice(_STARTS)
        return start if rng.random() < 0.3 else bend_bytes(rng, start)
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(1, 3000))
    made = rng.choice(list(WELL_FORMED.values()))(rng, target)
    if made.target.startswith("/_sandbox/"):
        return bend_bytes(rng, _STARTS[0])  # no bent orders: a reset would be obeyed
    return bend_bytes(rng, made.encode())


# -- running -----------------------------------------------------------------------------------------------------


def send_raw(port: int, data: bytes) -> str:
    """Send bytes on a connection of their own; return the answer's status, or `closed`. Raises TimeoutError on a hang."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock,
        contextlib.suppress(ConnectionError),
    ):
        sock.sendall(data)
        sock.settimeout(0.15)
        told = b""
        try:
            told = sock.recv(4096)
        except TimeoutError:
            sock.settimeout(PATIENCE)
            sock.shutdown(socket.SHUT_WR)  # nothing more comes: now it must end
            told = sock.recv(4096)
        parts = told.split(b" ", 2)
        if told.startswith(b"HTTP/1.") and len(parts) > 1:
            return parts[1].decode("latin-1")
    return "closed"


def one(seed: int, number: int, target: Target, connection: Connection) -> tuple[str, str, bytes]:
    """Run a case; return its kind, the status, and what was sent. Raises TimeoutError where it hangs."""
    rng = random.Random(f"{seed}/{number}")
    kinds = [*WELL_FORMED, "raw"]
    kind = kinds[number % len(kinds)]
    if kind == "raw":
        data = raw(rng, target)
        return kind, send_raw(target.port, data), data
    request = WELL_FORMED[kind](rng, target)
    data = request.encode()
    try:
        answer = connection.send_bytes(data, head=request.method == "HEAD")
    except TimeoutError:
        raise
    except (OSError, ValueError):
        connection.close()
        return kind, "closed", data
    return kind, str(answer.status), data


def target_of(served: Served) -> Target:
    """Make a role to play with, and collect what requests are made of."""
    line = served.line
    admin = talk.ops(line)
    running = [row for row in line["instances"] if row["status"] == "Running"]
    statement = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"Service": ["ecs.aliyuncs.com"]},
    }
    trust = json.dumps({"Version": "1", "Statement": [statement]})
    with Connection(served.port) as connection:
        connection.send(
            talk.acs3_call(
                admin, "Ram", "CreateRole", {"RoleName": "Fuzz", "AssumeRolePolicyDocument": trust}
            )
        )
    return Target(
        served.port,
        admin,
        tuple(row["proxy_url"] for row in running),
        served.admin_token,
        tuple(row["instance_id"] for row in line["instances"]),
    )


def fuzz(served: Served, seconds: float, seed: int, *, threads: int = 4) -> Report:
    """Send bent requests for a while."""
    target, report, lock = target_of(served), Report(), threading.Lock()
    numbers = iter(range(10**12))
    started = time.monotonic()
    until = started + seconds

    def work() -> None:
        connection = Connection(target.port, timeout=PATIENCE)
        while time.monotonic() < until and len(report.bad) < 20:
            with lock:
                number = next(numbers)
            began = time.monotonic()
            try:
                kind, status, data = one(seed, number, target, connection)
            except TimeoutError:
                kind, status, data = "?", "hangs", b""
                connection.close()
            except OSError as error:
                kind, status, data = "?", f"no connection: {error}", b""
            took = time.monotonic() - began
            with lock:
                report.cases[kind] += 1
                report.statuses[status] += 1
                report.slowest = max(report.slowest, took)
                if status == "500" or status.startswith(("hangs", "no connection")):
                    report.bad.append(f"--seed {seed} --only {number}: {kind} {status} {data[:300]!r}")
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    step = max(0.5, seconds / 12)
    while any(worker.is_alive() for worker in workers):
        if served.alive:
            report.rss.append(served.rss())
        time.sleep(min(step, max(0.1, until - time.monotonic() + 0.05)))
    report.seconds = time.monotonic() - started
    if not served.alive:
        report.bad.append("the server has ended")
    log = served.log.read_text("utf-8", "replace")
    if "Traceback" in log or "unexpected" in log:
        report.bad.append("the server's log: " + log[-3000:])
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run for as long as asked, or one case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, default=-1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rr-fuzz-") as folder, Served(Path(folder) / "state") as served:
        if given.only >= 0:
            target = target_of(served)
            found = one(given.seed, given.only, target, Connection(target.port, timeout=PATIENCE))
            sys.stdout.write(f"{found}\n{served.log.read_text()}\n")
            return 0
        report = fuzz(served, given.seconds, given.seed)
        sys.stdout.write(f"{report}\n" + "".join(f"BAD {line}\n" for line in report.bad))
        return 1 if report.bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
