"""Signed requests as plain bytes, and a socket that sends them: for tests that bend requests, and for load.

The SDKs are what proves that signatures are right; here it only matters that good ones are accepted and bent ones not.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from ramrole_nb.sandbox.signing import acs3, oss_v1, oss_v4, rpc_v1

__all__ = ["Answer", "Connection", "Key", "Request", "acs3_call", "credentials_of", "ops", "oss", "rpc_call"]

VERSIONS = {"Ram": "2015-05-01", "Ecs": "2014-05-26", "Sts": "2015-04-01"}


@dataclass(frozen=True)
class Key:
    """What a request is signed with."""

    id: str
    secret: str
    token: str = ""


@dataclass(frozen=True)
class Request:
    """A request; `target` goes into the first line as it is."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self) -> bytes:
        head = [f"{self.method} {self.target} HTTP/1.1"]
        head += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("PUT", "POST"):
            head.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape") + self.body

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name.lower())

    def with_header(self, name: str, value: str | None) -> Request:
        """Return the request with a header changed, added, or (None) left out."""
        kept = tuple((k, v) for k, v in self.headers if k.lower() != name.lower())
        return replace(self, headers=kept if value is None else (*kept, (name, value)))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code of any service's answer."""
        text = self.body.decode("utf-8", "replace")
        if text.startswith("{"):
            return str(json.loads(text).get("Code", ""))
        return text.partition("<Code>")[2].partition("</Code>")[0]

    @property
    def ec(self) -> str:
        return self.headers.get("x-oss-ec", "")


class Connection:
    """One keep-alive connection to the sandbox; opens itself again where the server has closed it."""

    def __init__(self, port: int, *, timeout: float = 20.0) -> None:
        self.port = port
        self.timeout = timeout
        self._sock: socket.socket | None = None
        self._left = b""

    def open(self) -> socket.socket:
        """Connect, where that is not so yet."""
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._left = b""
        return self._sock

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Request) -> Answer:
        """Send a request and read its answer. Raises OSError where there is none, or half of one."""
        return self.send_bytes(request.encode(), head=request.method == "HEAD")

    def send_bytes(self, data: bytes, *, head: bool = False) -> Answer:
        try:
            sock = self.open()
            sock.sendall(data)
            return self._read(sock, head=head)
        except OSError:
            self.close()
            raise

    def _read(self, sock: socket.socket, *, head: bool) -> Answer:
        while b"\r\n\r\n" not in self._left:
            self._more(sock)
        top, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(first.split(" ")[1])
        if status == 100:
            return self._read(sock, head=head)
        length = 0 if head or status in (204, 304) else int(headers.get("content-length", "0"))
        while len(self._left) < length:
            self._more(sock)
        body, self._left = self._left[:length], self._left[length:]
        if headers.get("connection", "").lower() == "close" or first.startswith("HTTP/1.0"):
            self.close()
        return Answer(status, headers, body)

    def _more(self, sock: socket.socket) -> None:
        data = sock.recv(65_536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._left += data


def _pairs(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items())


def _through(proxy_url: str, host: str, target: str, headers: dict[str, str]) -> str:
    """Return the target in absolute form, with the proxy user in the headers."""
    import base64

    user = urlsplit(proxy_url).netloc.rpartition("@")[0]
    if user:
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    return f"http://{host}{target}"


def oss(
    key: Key | None,
    method: str,
    bucket: str = "",
    name: str = "",
    *,
    query: Sequence[tuple[str, str]] = (),
    region: str = "cn-beijing",
    host: str = "",
    proxy: str = "",
    version: str = "v4",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    now: float | None = None,
) -> Request:
    """Return an OSS request. `host` empty: path style on the sandbox's own address."""
    now = time.time() if now is None else now
    sent: dict[str, str] = {k.lower(): v for k, v in (headers or {}).items()}
    path = quote(f"/{name}") if host and bucket else quote(f"/{bucket}" + (f"/{name}" if name else ""))
    at = f"{bucket}.{host}" if host and bucket else host or "127.0.0.1"
    target = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    if key is not None:
        if key.token:
            sent["x-oss-security-token"] = key.token
        if version == "v4":
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            sent |= {"x-oss-date": stamp, "x-oss-content-sha256": oss_v4.UNSIGNED_PAYLOAD}
            scope = f"{stamp[:8]}/{region}/oss/aliyun_v4_request"
            canonical = oss_v4.canonical_request(method, bucket, name, query, sent)
            signature = oss_v4.sign(
                key.secret, oss_v4.string_to_sign(canonical, stamp, scope), stamp[:8], region
            )
            sent["authorization"] = f"OSS4-HMAC-SHA256 Credential={key.id}/{scope},Signature={signature}"
        else:
            sent["date"] = email.utils.formatdate(now, usegmt=True)
            resource = oss_v1.canonical_resource(bucket, name, query)
            text = oss_v1.string_to_sign(method, sent, sent["date"], resource)
            sent["authorization"] = f"OSS {key.id}:{oss_v1.sign(key.secret, text)}"
    if host:
        target = _through(proxy, at, target, sent)
    return Request(method, target, (("Host", at), *_pairs(sent)), body)


def oss_url(
    key: Key, bucket: str, name: str, *, region: str = "cn-beijing", version: str = "v4", seconds: int = 600
) -> Request:
    """Return a presigned GET, path style."""
    if version == "v4":
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/{region}/oss/aliyun_v4_request"
        query = {
            "x-oss-credential": f"{key.id}/{scope}",
            "x-oss-date": stamp,
            "x-oss-expires": str(seconds),
            "x-oss-signature-version": oss_v4.ALGORITHM,
        }
        if key.token:
            query["x-oss-security-token"] = key.token
        canonical = oss_v4.canonical_request("GET", bucket, name, list(query.items()), {})
        text = oss_v4.string_to_sign(canonical, stamp, scope)
        query["x-oss-signature"] = oss_v4.sign(key.secret, text, stamp[:8], region)
    else:
        expires = str(int(time.time()) + seconds)
        extra = [("security-token", key.token)] if key.token else []
        text = oss_v1.string_to_sign("GET", {}, expires, oss_v1.canonical_resource(bucket, name, extra))
        query = dict(extra) | {
            "OSSAccessKeyId": key.id,
            "Expires": expires,
            "Signature": oss_v1.sign(key.secret, text),
        }
    target = quote(f"/{bucket}/{name}") + "?" + urlencode(query, quote_via=quote)
    return Request("GET", target, (("Host", "127.0.0.1"),))


def acs3_call(
    key: Key, product: str, action: str, params: Mapping[str, str] | None = None, *, now: float | None = None
) -> Request:
    """Return an OpenAPI call signed with ACS3-HMAC-SHA256, parameters in the query."""
    host = {"Ram": "ram.aliyuncs.com", "Ecs": "ecs.cn-beijing.aliyuncs.com", "Sts": "sts.aliyuncs.com"}[
        product
    ]
    now = time.time() if now is None else now
    sent = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": VERSIONS[product],
        "accept": "application/json",
    }
    if key.token:
        sent["x-acs-security-token"] = key.token
    query = sorted((params or {}).items())
    names = sorted(n for n in sent if n.startswith("x-acs-") or n == "host")
    canonical = acs3.canonical_request("POST", "/", query, sent, names, sent["x-acs-content-sha256"])
    signature = acs3.sign(key.secret, acs3.string_to_sign(canonical))
    sent["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key.id},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    target = f"http://{host}/" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    return Request("POST", target, _pairs(sent))


def rpc_call(key: Key, product: str, action: str, params: Mapping[str, str] | None = None) -> Request:
    """Return an OpenAPI call signed with HMAC-SHA1, everything in the query."""
    host = {"Ram": "ram.aliyuncs.com", "Ecs": "ecs.cn-beijing.aliyuncs.com", "Sts": "sts.aliyuncs.com"}[
        product
    ]
    query = {
        "Action": action,
        "Version": VERSIONS[product],
        "Format": "JSON",
        "AccessKeyId": key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **(params or {}),
    }
    if key.token:
        query["SecurityToken"] = key.token
    query["Signature"] = rpc_v1.sign(key.secret, rpc_v1.string_to_sign("GET", list(query.items())))
    return Request("GET", f"http://{host}/?{urlencode(query, quote_via=quote)}", (("Host", host),))


def imds(proxy_url: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Request:
    """Return a metadata request as from an instance, through the sandbox as proxy."""
    sent = dict(headers or {})
    target = _through(proxy_url, "100.100.100.200", path, sent)
    return Request(method, target, (("Host", "100.100.100.200"), *_pairs(sent)))


TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = "X-aliyun-ecs-metadata-token"
CREDENTIALS = "/latest/meta-data/ram/security-credentials/"


def metadata_token(connection: Connection, proxy_url: str) -> str:
    """Ask for a metadata token."""
    answer = connection.send(imds(proxy_url, "/latest/api/token", "PUT", {TTL: "600"}))
    assert answer.status == 200, answer
    return answer.body.decode()


def credentials_of(connection: Connection, proxy_url: str, role: str) -> Key:
    """Fetch an instance role's credential."""
    token = metadata_token(connection, proxy_url)
    answer = connection.send(imds(proxy_url, CREDENTIALS + role, headers={TOKEN: token}))
    assert answer.status == 200, answer.body
    found = answer.json()
    return Key(found["AccessKeyId"], found["AccessKeySecret"], found["SecurityToken"])


def ops(start_line: Mapping[str, Any], user: str = "admin") -> Key:
    """Return a user's key from the start line."""
    row = next(row for row in start_line["users"] if row["name"] == user)
    return Key(str(row["access_key_id"]), str(row["access_key_secret"]))
