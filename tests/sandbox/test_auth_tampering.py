"""Random bit flips of requests that the official SDKs really sent: none is accepted, unless it says the same.

Requests are captured from the SDKs by a recording listener, changed, and sent to the sandbox over raw sockets.
facts/signing.md §2, §3 and facts/oss.md §6, §7 say what each signature covers.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

import oss2
import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ram20150501 import models as rm
from alibabacloud_ram20150501.client import Client as Ram

from tests.sandbox.drive import WEB, Caller, Drive
from tests.sandbox.sign import captured, send
from tests.sandbox.test_oss import PHOTO

FLIPS = 400  # a request; six requests

# facts/oss.md §6: of the parameters used here, V1 signs these only.
V1_SUBRESOURCES = {"continuation-token", "security-token", "bucketInfo", "response-content-type"}


def openapi(drive: Drive, proxy: str, endpoint: str, who: str | Caller = "admin", **more: Any) -> Any:
    config = drive.config(who, endpoint, **more)
    config.http_proxy = proxy
    return config


def bucket(drive: Drive, proxy: str, version: str, who: str | Caller = "admin") -> Any:
    made = drive.bucket(who, version=version)
    made.proxies = {"http": proxy}
    return made


def _capture(drive: Drive, session: Caller) -> dict[str, bytes]:
    put = {"Content-Type": "text/plain", "x-oss-meta-a": "b"}
    calls: dict[str, Callable[[str], object]] = {
        "acs3": lambda proxy: Ram(openapi(drive, proxy, "ram.aliyuncs.com")).get_user(
            rm.GetUserRequest(user_name="viewer")
        ),
        "acs3 with token": lambda proxy: Ecs(
            openapi(drive, proxy, "ecs.cn-beijing.aliyuncs.com", session)
        ).describe_instances(em.DescribeInstancesRequest(region_id="cn-beijing", instance_name="a b+ü")),
        "rpc v1": lambda proxy: Ram(
            openapi(drive, proxy, "ram.aliyuncs.com", signature_algorithm="v2")
        ).get_user(rm.GetUserRequest(user_name="viewer")),
        "oss v1": lambda proxy: bucket(drive, proxy, "v1", session).get_object(
            PHOTO, params={"response-content-type": "a/b"}
        ),
        "oss v4": lambda proxy: bucket(drive, proxy, "v4", session).list_objects_v2(prefix="test folder/"),
        "oss v4 put": lambda proxy: bucket(drive, proxy, "v4").put_object("a b/ü", b"x", headers=put),
    }
    return {name: captured(call) for name, call in calls.items()}


def pairs(query: str) -> list[tuple[str, str]]:
    cut = [part.partition("=") for part in query.split("&") if part]
    return sorted((unquote_plus(name), unquote_plus(value)) for name, _, value in cut)


def meaning(kind: str, raw: bytes) -> object:
    """What a request says, of what its signature covers; None where it is no HTTP request."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3:
        return None
    found = re.fullmatch(r"(?i)(https?)://([^/?#]*)([^?#]*)\??([^#]*).*", parts[1])
    if found is None:
        return None
    headers = {
        name.lower().strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    query = pairs(found[4])
    kept = {name: value for name, value in headers.items() if name.startswith(("x-oss-", "x-acs-"))}
    # The names in the list of signed headers are header names: their case says nothing.
    kept["authorization"] = re.sub(
        "SignedHeaders=[^,]*", lambda found: found[0].lower(), headers.get("authorization", "")
    )
    if kind.startswith("acs3"):
        kept |= {name: headers.get(name, "") for name in ("host", "accept", "user-agent")}
        return parts[0], found[2].lower(), found[3] or "/", query, kept, body
    if kind == "rpc v1":
        return parts[0], found[3] or "/", query, body
    kept |= {name: headers.get(name, "") for name in ("content-type", "content-md5")}
    target = (found[2].lower().partition(":")[0], unquote_to_bytes(found[3]))
    if kind == "oss v1":
        return parts[0], target, [p for p in query if p[0] in V1_SUBRESOURCES], kept, headers.get("date")
    return parts[0], target, query, kept


def accepted(drive: Drive, request_id: str) -> bool:
    entry = drive.sandbox.admin.journal_of(request_id)
    return entry is not None and "principal" in entry


def request_id(head: str, body: bytes) -> str:
    found = re.search(r"(?i)x-oss-request-id: (\w+)", head) or re.search(
        r'"RequestId": ?"([^"]+)"', body.decode()
    )
    return found[1] if found else ""


@pytest.fixture
def requests_(drive: Drive) -> dict[str, bytes]:
    session = drive.session("AliyunOSSReadOnlyAccess", "AliyunECSReadOnlyAccess")
    return _capture(drive, session)


KINDS = ["acs3", "acs3 with token", "rpc v1", "oss v1", "oss v4", "oss v4 put"]


@pytest.mark.parametrize("kind", KINDS)
def test_bit_flips(drive: Drive, requests_: dict[str, bytes], kind: str) -> None:
    """facts/signing.md §2, §3, oss.md §6, §7. Each flip is answered below 500, and refused unless it says the same."""
    original = requests_[kind]
    meant = meaning(kind, original)
    assert meant is not None
    rng = random.Random(f"{kind} 1")
    same = refused = 0
    for _ in range(FLIPS):
        position, bit = rng.randrange(len(original)), 1 << rng.randrange(8)
        changed = original[:position] + bytes([original[position] ^ bit]) + original[position + 1 :]
        reply = send(drive.url, changed, timeout=0.2)
        assert reply.status < 500 or reply.status == 501, (changed, reply)
        if reply.status in (0, 400) and not reply.body.startswith((b"{", b"<?xml")):
            refused += 1  # no HTTP any more: the server's parser, or silence until the rest comes
        elif accepted(drive, request_id(reply.head, reply.body)) or b"SignatureNonceUsed" in reply.body:
            assert meaning(kind, changed) == meant, (position, changed)
            same += 1
        else:
            refused += 1
    assert refused > FLIPS // 3, (same, refused)
    control = send(drive.url, original)
    found = accepted(drive, request_id(control.head, control.body)) or b"SignatureNonceUsed" in control.body
    assert found, control


@pytest.mark.parametrize("kind", KINDS)
def test_every_signed_part_counts(drive: Drive, requests_: dict[str, bytes], kind: str) -> None:
    """Each signed header removed, and each value lengthened: refused. Chosen changes, not random ones."""
    original = requests_[kind]
    head, _, body = original.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    signed = {"acs3": (b"x-acs-", b"host", b"accept:"), "oss v1": (b"x-oss-", b"date:"), "rpc v1": ()}
    names = (
        *signed.get(kind.removesuffix(" with token"), (b"x-oss-", b"content-type")),
        b"authorization",
    )
    changes = 0
    for index, line in enumerate(lines):
        if line.lower().startswith(names):
            for new in ([], [line + b"x"], [line, line]):
                changed = (
                    b"\r\n".join([first, *lines[:index], *new, *lines[index + 1 :]]) + b"\r\n\r\n" + body
                )
                reply = send(drive.url, changed, timeout=1)
                if line.lower().startswith(b"authorization") and not new and kind.startswith("oss"):
                    assert b"AccessDenied" in reply.body, "anonymous now"
                    continue
                assert not accepted(drive, request_id(reply.head, reply.body)), changed
                changes += 1
    method, target, version = first.split(b" ")
    others = [(b"PUT" if method != b"PUT" else b"GET", target), (method, target.replace(b".com/", b".com/x"))]
    if kind != "oss v1":  # V1 signs no other parameters
        others.append((method, target + (b"&" if b"?" in target else b"?") + b"extra=1"))
    for new_method, new_target in others:
        changed = b" ".join([new_method, new_target, version]) + original[len(first) :]
        reply = send(drive.url, changed, timeout=1)
        assert not accepted(drive, request_id(reply.head, reply.body)), changed
        changes += 1
    assert changes >= 2


def test_journal_of_tampering_shows_no_secret(drive: Drive, requests_: dict[str, bytes]) -> None:
    """The string to sign of RPC holds the security token: the caller may see it, the journal may not."""
    session = drive.credential()
    proxy_call = captured(
        lambda proxy: Ecs(
            openapi(drive, proxy, "ecs.cn-beijing.aliyuncs.com", session, signature_algorithm="v2")
        ).describe_regions(em.DescribeRegionsRequest())
    )
    assert requests_
    spoiled = proxy_call.replace(b"Action=", b"Extra=1&Action=", 1)
    reply = send(drive.url, spoiled)
    assert json.loads(reply.body)["Code"] == "SignatureDoesNotMatch"
    text = (drive.sandbox.state / "journal.jsonl").read_text()
    for secret in (session.token, session.secret):
        for form in (
            secret,
            oss2.compat.urlquote(secret, ""),
            oss2.compat.urlquote(oss2.compat.urlquote(secret, ""), ""),
        ):
            assert form not in text
    assert WEB in text
