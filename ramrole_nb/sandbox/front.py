"""The one port: which service is a request for, and from which instance does it come?

IMDS only where the authority is 100.100.100.200 (a bucket may be called `latest`); OpenAPI by its headers or
parameters; the admin interface below `/_sandbox/`; the rest is OSS. A host the sandbox does not serve is refused:
nothing is ever passed on.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import string
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from ..redact import redact
from .admin import Admin
from .answers import Answer, FileBody
from .authenticate import Authenticator, basic_user
from .authorize import Authorizer
from .connect_tls import Arrival
from .errors import ApiError, FrontError
from .excerpt import answer_noted
from .exchange import Exchange
from .faults import send_damaged
from .journal import Journal
from .knobs import Knobs
from .openapi import Gateway
from .services.imds import MetadataService
from .services.oss import ObjectStorage
from .services.oss.address import is_oss_host
from .store import Store

__all__ = ["IMDS_HOST", "Front"]

log = logging.getLogger("ramrole_nb.sandbox")

IMDS_HOST = "100.100.100.200"
_LOOPBACK = re.compile(r"127(?:\.\d{1,3}){3}|localhost|\[::1\]")
_OPENAPI_HOST = re.compile(r"(?:ram|sts(?:-vpc)?(?:\.[a-z0-9-]+)?|ecs(?:[.-][a-z0-9-]+)*)\.aliyuncs\.com")

# Bodies up to this size travel in one piece with their headers; larger ones are sent with sendfile.
_ONE_PIECE = 64 * 1024
# How much of a file is encrypted at a time.
_PIECE = 256 * 1024


@dataclass
class _Services:
    imds: MetadataService
    gateway: Gateway
    oss: ObjectStorage
    admin: Admin


class Front:
    """Routes every request and writes the journal; `Arrival` tells how a request's connection came in."""

    def __init__(self, store: Store, knobs: Knobs, journal: Journal, admin: Admin) -> None:
        authenticator, authorizer = Authenticator(store, knobs), Authorizer(store)
        self._store = store
        self._journal = journal
        self._services = _Services(
            MetadataService(store, knobs),
            Gateway(store, knobs, authenticator, authorizer),
            ObjectStorage(store, knobs, authenticator, authorizer),
            admin,
        )
        self.requests = 0

    async def close(self) -> None:
        """End what still goes on behind the answers (commands on instances)."""
        await self._services.gateway.close()

    def forget_world(self) -> None:
        """End what still goes on for a world that is gone."""
        self._services.gateway.cancel()

    async def handle(self, request: web.BaseRequest, arrival: Arrival) -> web.StreamResponse:
        """Answer one request."""
        ex = _exchange(request)
        if not ex.path.startswith("/_sandbox/journal"):  # who only watches does not keep an idle sandbox up
            self.requests += 1
        ex.instance_id = arrival.instance_id
        if arrival.scheme == "https":
            ex.scheme = "https"
        try:
            answer = await self._route(ex, arrival)
        except FrontError as error:
            ex.service = ex.service or "front"
            ex.note(error=error.code, message=error.message)
            headers = (
                {"Proxy-Authenticate": 'Basic realm="ramrole_nb sandbox"'} if error.status == 407 else {}
            )
            answer = Answer(
                error.status, (error.message + "\n").encode(), "text/plain; charset=utf-8", headers
            )
        except ApiError as error:  # a service's error outside of its own handling
            answer = Answer(error.status, error.message.encode(), "text/plain; charset=utf-8")
        except (web.HTTPException, ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - a fault of ours is a 500, never a dropped connection
            log.error("unexpected: %s", redact(traceback.format_exc()))  # noqa: TRY400 - redacted first
            ex.note(error="InternalError", message="a fault of the sandbox; see server.log")
            answer = Answer(
                500, b'{"Code":"InternalError","Message":"A fault of the sandbox; see its server.log."}'
            )
        if ex.service != "admin":
            ex.note(answer=answer_noted(ex, answer))
            self._write(ex, answer.status)
        return await _send(request, answer)

    def connect(self, target: str, headers: Mapping[str, str], instance_id: str) -> Arrival:
        """Decide on a CONNECT: return how the tunnel's requests are to be seen. Raises FrontError where it is refused."""
        self.requests += 1
        ex = _connect_exchange(target, headers, instance_id)
        try:
            self._check_connect(ex)
        except FrontError as error:
            ex.note(error=error.code, message=error.message)
            self._write(ex, error.status)
            raise
        return Arrival(ex.instance_id, "https", ex.host)

    def _check_connect(self, ex: Exchange) -> None:
        if "origin" in ex.headers:
            raise FrontError(403, "OriginRefused", "The sandbox answers programs, not web pages.")
        host, _, port = ex.authority.rpartition(":")
        if not host or not port.isdecimal():
            raise FrontError(
                400, "BadTarget", "CONNECT names a host and a port, such as ram.aliyuncs.com:443."
            )
        self._find_instance(ex)
        if not self.serves_tls(ex.host) or port != "443":
            hint = ": metadata is plain http there" if ex.host == IMDS_HOST else ""
            raise FrontError(
                403,
                "HostRefused",
                f"The sandbox makes no tunnel to {ex.authority[:200]!r}{hint}, and passes nothing on. It tunnels to "
                "port 443 of ram.aliyuncs.com, ecs.REGION.aliyuncs.com, sts.REGION.aliyuncs.com and "
                "[BUCKET.]oss-REGION.aliyuncs.com.",
            )
        self._check_internal(ex)

    def tls_failed(self, arrival: Arrival, reason: str) -> None:
        """Write into the journal that a client gave up the handshake, most often for not knowing our CA."""
        ex = _connect_exchange(f"{arrival.tunnel}:443", {}, arrival.instance_id)
        told = f"The client ended the TLS handshake ({reason}). Does it trust the sandbox's CA? See: ramrole sandbox env"
        ex.note(error="TlsHandshakeFailed", message=told)
        self._write(ex, 0)

    def serves_tls(self, host: str) -> bool:
        """Tell whether a name is one of those the sandbox answers for over TLS."""
        return _OPENAPI_HOST.fullmatch(host) is not None or is_oss_host(host)

    def _write(self, ex: Exchange, status: int) -> None:
        self._journal.add(ex.journal_entry(status), ex.documents)
        self._services.admin.journal_grew()

    async def _route(self, ex: Exchange, arrival: Arrival) -> Answer:
        if "origin" in ex.headers:
            raise FrontError(
                403,
                "OriginRefused",
                "The sandbox answers programs, not web pages: requests with an Origin are refused.",
            )
        if ex.method == "CONNECT":
            raise FrontError(
                400,
                "ConnectTooLate",
                "CONNECT must be the first request of a connection: open another one for the tunnel.",
            )
        if not ex.path.startswith("/"):
            raise FrontError(
                400,
                "BadTarget",
                "The request asks for something that is neither a path nor an http:// address.",
            )
        if _plain(ex.authority, ex.scheme) != _plain(ex.host_header, ex.scheme):
            # RFC 9112, 3.2.2. Signatures cover the Host header: it must be where the request goes.
            raise FrontError(
                400, "HostMismatch", "The Host header names another host than the address asked for."
            )
        if arrival.tunnel and ex.host != arrival.tunnel:
            raise FrontError(
                421, "TunnelMismatch", f"This is a tunnel to {arrival.tunnel}: it serves no other host."
            )
        loopback = _LOOPBACK.fullmatch(ex.host) is not None
        if ex.scheme == "https" and loopback:
            raise FrontError(403, "HostRefused", "The sandbox's own address is http, not https.")
        if loopback and ex.path.startswith("/_sandbox/"):
            ex.service = "admin"
            return await self._services.admin.answer(ex)
        self._find_instance(ex, by_user=not arrival.tunnel)
        if ex.host == IMDS_HOST:
            if ex.scheme == "https":
                raise FrontError(403, "HostRefused", f"Metadata is plain http: http://{IMDS_HOST}/latest/.")
            if not ex.instance_id:
                raise FrontError(
                    407,
                    "WhichInstance",
                    "Which instance is asking? Metadata needs a proxy user: set http_proxy to an instance's proxy_url "
                    "(ramrole sandbox env --instance ID).",
                )
            return await self._services.imds.answer(ex)
        if loopback or _OPENAPI_HOST.fullmatch(ex.host):
            if self._services.gateway.claims(ex) or not loopback:
                return await self._services.gateway.answer(ex)
            return await self._services.oss.answer(ex)
        if is_oss_host(ex.host):
            self._check_internal(ex)
            return await self._services.oss.answer(ex)
        raise FrontError(
            403,
            "HostRefused",
            f"The sandbox does not serve {ex.host[:200]!r} and passes nothing on. It serves {IMDS_HOST}, "
            "ram.aliyuncs.com, ecs.REGION.aliyuncs.com, sts.REGION.aliyuncs.com and [BUCKET.]oss-REGION.aliyuncs.com.",
        )

    def _find_instance(self, ex: Exchange, *, by_user: bool = True) -> None:
        """Learn from the proxy user which instance is asking, and refuse what could not run there."""
        sent = ex.headers.get("proxy-authorization") if by_user else None
        if sent is not None:
            user = basic_user(sent)
            row = self._store.one(
                "SELECT proxy_token FROM instances WHERE instance_id=?", user[0] if user else ""
            )
            if (
                user is None
                or row is None
                or not hmac.compare_digest(row["proxy_token"].encode(), user[1].encode())
            ):
                raise FrontError(
                    407,
                    "ProxyUserRefused",
                    "The proxy user is not an instance of this sandbox with its token. "
                    "Take the proxy_url from: ramrole sandbox env --instance ID",
                )
            ex.instance_id = user[0]
        if not ex.instance_id:
            return
        row = self._store.one("SELECT region_id, facts FROM instances WHERE instance_id=?", ex.instance_id)
        if row is None:
            raise FrontError(502, "NoSuchInstance", f"There is no instance {ex.instance_id} any more.")
        known = json.loads(row["facts"])
        ex.note(source_ip=known["public_ip"] or known["private_ip"], instance_region=row["region_id"])
        if known["status"] != "Running":
            raise FrontError(
                502, "InstanceStopped", f"Instance {ex.instance_id} is {known['status']}: nothing runs on it."
            )
        if ex.host == IMDS_HOST and known["network_type"] != "vpc":
            raise FrontError(
                504,
                "NotInVpc",
                f"Instance {ex.instance_id} is in a classic network: the metadata service answers VPC instances only. "
                "On the real instance this request would time out.",
            )

    def _check_internal(self, ex: Exchange) -> None:
        found = re.search(r"oss-([a-z0-9-]+)-internal\.aliyuncs\.com", ex.host)
        if found and ex.notes.get("instance_region") != found[1]:
            where = ex.notes.get("instance_region") or "outside of Alibaba Cloud"
            raise FrontError(
                504,
                "InternalEndpointUnreachable",
                f"{ex.host} answers only inside {found[1]}; this request comes from {where}. The real endpoint would "
                "not answer at all until the client's time-out.",
            )


def _text(raw: str) -> str:
    """Return a header as text: bytes that are no UTF-8 are replaced (whatever was signed with them is refused)."""
    return raw if raw.isascii() else raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _target(raw: str) -> str:
    """Return the request target with bytes beyond ASCII percent-encoded, as they should have been sent."""
    return raw if raw.isascii() else quote(raw.encode("utf-8", "surrogateescape"), safe=string.printable)


def _plain(authority: str, scheme: str) -> str:
    """Return host and port for comparison: lower case, the scheme's own port left out."""
    return authority.lower().removesuffix(":443" if scheme == "https" else ":80")


def _exchange(request: web.BaseRequest) -> Exchange:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower, text = _text(name).lower(), _text(value)
        headers[lower] = f"{headers[lower]},{text}" if lower in headers else text
    target, scheme, authority = _target(request.raw_path), "http", headers.get("host", "")
    absolute = re.match(r"(https?)://([^/?#]*)", target, re.I)
    if absolute:
        scheme, authority = absolute[1].lower(), absolute[2].rpartition("@")[2]
        target = target[absolute.end() :] or "/"
    path, _, query = target.partition("?")

    def go_on() -> None:
        # A client that asked whether to send its body is told so only once somebody wants to read it.
        if headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def stream() -> AsyncIterator[bytes]:
        go_on()
        async for chunk in request.content.iter_any():
            yield chunk

    async def read() -> bytes:
        go_on()
        return await request.read()

    return Exchange(
        method=request.method,
        scheme=scheme,
        authority=authority,
        host_header=headers.get("host", authority),
        path=path.partition("#")[0] or "/",
        query=query.partition("#")[0],
        headers=headers,
        read_body=read,
        stream_body=stream,
        peer=request.remote or "",
    )


async def _nothing() -> bytes:
    return b""


async def _no_chunks() -> AsyncIterator[bytes]:
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk


def _connect_exchange(target: str, headers: Mapping[str, str], instance_id: str) -> Exchange:
    return Exchange(
        method="CONNECT",
        scheme="https",
        authority=_text(target),
        host_header=headers.get("host", ""),
        path="",
        query="",
        headers={name: _text(value) for name, value in headers.items()},
        read_body=_nothing,
        stream_body=_no_chunks,
        instance_id=instance_id,
        service="front",
    )


async def _send(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    headers = dict(answer.headers)
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    body = answer.body
    head = request.method == "HEAD"
    if isinstance(body, FileBody) and not head and not body.damage and body.count <= _ONE_PIECE:
        with open(body.path, "rb") as file:  # noqa: ASYNC230 - small and local
            file.seek(body.offset)
            body = file.read(body.count)
    if isinstance(body, bytes) and not head:
        response = web.Response(status=answer.status, body=body, headers=headers)
        if not answer.content_type:
            response.headers.popall("Content-Type", None)
        return response
    stream = web.StreamResponse(status=answer.status, headers=headers)
    stream.content_length = body.count if isinstance(body, FileBody) else len(body)
    if head or isinstance(body, bytes):
        await stream.prepare(request)
        await stream.write_eof()
        return stream
    if body.damage:
        await send_damaged(request, stream, body)
        return stream
    with open(body.path, "rb") as file:  # noqa: ASYNC230 - a local file: opening it does not block
        await stream.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client went away")
        if transport.get_extra_info("ssl_object") is None:
            await asyncio.get_running_loop().sendfile(transport, file, body.offset, body.count)
        else:  # nothing for the kernel to do: the file has to pass through the encryption
            file.seek(body.offset)
            left = body.count
            while left and (piece := file.read(min(left, _PIECE))):
                await stream.write(piece)
                left -= len(piece)
    await stream.write_eof()
    return stream
