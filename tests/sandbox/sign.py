"""The four signatures once more, written from the documents for the tests, and requests over a raw socket.

facts/signing.md §2, §3 and facts/oss.md §6, §7. Nothing of ramrole_nb is used.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import quote, urlsplit

from tests.sandbox.drive import Caller

__all__ = ["Reply", "acs3", "captured", "iso", "oss_v1", "oss_v4", "rpc_v1", "send"]


def encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def iso(moment: float | None = None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


@dataclass
class Reply:
    """What came back over a socket (status 0: nothing)."""

    status: int
    head: str = ""
    body: bytes = b""


@dataclass
class Message:
    """An HTTP request to be sent as it is."""

    method: str
    host: str
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encode(self, *, absolute: bool = True) -> bytes:
        target = self.path + (
            "?" + "&".join(f"{encoded(k)}={encoded(v)}" for k, v in self.query.items()) if self.query else ""
        )
        if absolute:
            target = f"http://{self.host}{target}"
        headers = {"Host": self.host, **self.headers, "Connection": "close"}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


def acs3(
    caller: Caller,
    action: str,
    version: str,
    query: Mapping[str, str] | None = None,
    *,
    host: str = "ram.aliyuncs.com",
    method: str = "POST",
    date: str = "",
    nonce: str = "",
    body: bytes = b"",
    extra: Mapping[str, str] | None = None,
    unsigned: Mapping[str, str] | None = None,
) -> Message:
    """Sign with ACS3-HMAC-SHA256: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": date or iso(),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **(extra or {}),
    }
    if caller.token:
        headers["x-acs-security-token"] = caller.token
    names = sorted(headers)
    query = dict(query or {})
    canonical = "\n".join(
        [
            method,
            "/",
            "&".join(f"{k}={v}" for k, v in sorted((encoded(k), encoded(v)) for k, v in query.items())),
            "".join(f"{name}:{headers[name].strip()}\n" for name in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        ]
    )
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(caller.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    del headers["host"]
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={caller.key_id},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return Message(method, host, "/", query, {**headers, **(unsigned or {})}, body)


def rpc_v1(
    caller: Caller,
    action: str,
    version: str,
    params: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    **more: str,
) -> dict[str, str]:
    """Sign with RPC's HMAC-SHA1: https://github.com/AlibabaCloudDocs/ram, call methods, signature."""
    full = {
        "Action": action,
        "Version": version,
        "AccessKeyId": caller.key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": iso(),
        **({"SecurityToken": caller.token} if caller.token else {}),
        **(params or {}),
        **more,
    }
    pairs = "&".join(f"{encoded(k)}={encoded(v)}" for k, v in sorted(full.items()))
    text = f"{method}&%2F&{encoded(pairs)}"
    digest = hmac.new(f"{caller.secret}&".encode(), text.encode(), hashlib.sha1).digest()
    full["Signature"] = base64.b64encode(digest).decode()
    return full


def oss_v1(
    caller: Caller,
    method: str,
    bucket: str,
    key: str,
    *,
    date: str = "",
    headers: Mapping[str, str] | None = None,
    region: str = "cn-beijing",
) -> Message:
    """Sign with OSS V1: https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header."""
    sent = {"Date": date or formatdate(usegmt=True), **(headers or {})}
    if caller.token:
        sent["x-oss-security-token"] = caller.token
    lower = {k.lower(): v for k, v in sent.items()}
    oss = "".join(f"{k}:{lower[k]}\n" for k in sorted(lower) if k.startswith("x-oss-"))
    line = lower.get("x-oss-date", lower["date"])
    text = f"{method}\n{lower.get('content-md5', '')}\n{lower.get('content-type', '')}\n{line}\n{oss}/{bucket}/{key}"
    digest = base64.b64encode(hmac.new(caller.secret.encode(), text.encode(), hashlib.sha1).digest())
    sent["Authorization"] = f"OSS {caller.key_id}:{digest.decode()}"
    return Message(method, f"{bucket}.oss-{region}.aliyuncs.com", "/" + quote(key), {}, sent)


def oss_v4(
    caller: Caller,
    method: str,
    bucket: str,
    key: str,
    *,
    moment: float | None = None,
    headers: Mapping[str, str] | None = None,
    region: str = "cn-beijing",
    endpoint: str = "cn-beijing",
    additional: tuple[str, ...] = (),
) -> Message:
    """Sign with OSS V4: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    sent = {"x-oss-date": stamp, "x-oss-content-sha256": "UNSIGNED-PAYLOAD", **(headers or {})}
    if caller.token:
        sent["x-oss-security-token"] = caller.token
    host = f"{bucket}.oss-{endpoint}.aliyuncs.com"
    lower = {k.lower(): v for k, v in sent.items()} | {"host": host}
    names = [
        k
        for k in sorted(lower)
        if k.startswith("x-oss-") or k in ("content-type", "content-md5", *additional)
    ]
    canonical = "\n".join(
        [
            method,
            "/" + quote(f"{bucket}/{key}", safe="/-_.~"),
            "",
            "".join(f"{k}:{lower[k]}\n" for k in names),
            ";".join(sorted(additional)),
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = f"{stamp[:8]}/{region}/oss/aliyun_v4_request"
    text = f"OSS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = b"aliyun_v4" + caller.secret.encode()
    for part in (stamp[:8], region, "oss", "aliyun_v4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    extra = f"AdditionalHeaders={';'.join(sorted(additional))}," if additional else ""
    sent["Authorization"] = (
        f"OSS4-HMAC-SHA256 Credential={caller.key_id}/{scope},{extra}"
        f"Signature={hmac.digest(signing, text.encode(), 'sha256').hex()}"
    )
    return Message(method, host, "/" + quote(key), {}, sent)


def send(url: str, request: bytes | Message, *, timeout: float = 5.0) -> Reply:
    """Send bytes to the address and read the answer to its end; nothing in time: status 0."""
    raw = request.encode() if isinstance(request, Message) else request
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=timeout) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(raw)
        got = b""
        try:
            while chunk := sock.recv(65536):
                got += chunk
                head, end, body = got.partition(b"\r\n\r\n")
                length = [
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                if end and length and len(body) >= length[0]:
                    break
        except (TimeoutError, ConnectionError):
            pass
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.") else 0
    return Reply(status, head.decode(errors="replace"), body)


def captured(call: Callable[[str], object]) -> bytes:
    """Return what a program sends first to a proxy at the address it is called with. It never gets a good answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        got: list[bytes] = []

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(10)
                raw = b""
                while b"\r\n\r\n" not in raw:
                    raw += sock.recv(65536)
                head, _, body = raw.partition(b"\r\n\r\n")
                length = [
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                while length and len(body) < length[0]:
                    body += sock.recv(65536)
                got.append(head + b"\r\n\r\n" + body)
                sock.sendall(b"HTTP/1.1 503 Recorded\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        with contextlib.suppress(Exception):  # the recorder's answer is an error to every client
            call(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    return got[0]
