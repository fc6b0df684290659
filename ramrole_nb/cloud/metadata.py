"""The instance metadata service as it is: a token by PUT, then metadata by GET. Both modes, step by step.

No proxy of the environment is ever used: the SDKs send credential requests through HTTP_PROXY and ignore NO_PROXY.
Source: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ..errors import (
    START_AGAIN,
    HardenedOnly,
    InputError,
    MetadataError,
    MetadataUnreachable,
    NoRoleAttached,
    TokenRefused,
    WrongRoleName,
    nearest,
)
from ..models import StsCredentials, parse_time
from ..redact import MASK, Secret, redact, remember

__all__ = ["HARDENED", "MODES", "NORMAL", "MetadataClient", "MetadataStep"]

HARDENED, NORMAL = "security hardening", "normal"
MODES = (HARDENED, NORMAL)

_HOST = "100.100.100.200"
_TTL_HEADER = "X-aliyun-ecs-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aliyun-ecs-metadata-token"  # noqa: S105 - a header's name
_TIMES = ("Expiration", "LastUpdated")
_FIELDS = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
_CREDENTIALS = "/latest/meta-data/ram/security-credentials/"
MAX_TTL = 21_600
# Seconds. Off the instance nothing answers at all, so connecting gives up soon; a slow answer is waited for: a background
# refresh has half an hour.
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 3.0, 10.0


#: The instance this program was found to run on, by asking it: that does not change, and need not be asked again.
found_here: set[str] = set()


@dataclass(frozen=True)
class MetadataStep:
    """One request to the metadata service, secrets masked. `status` 0: no answer."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    status: int
    answer: str
    ms: float

    @property
    def curl(self) -> str:
        """The same request as a shell command, to run on the instance."""
        headers = "".join(f' -H "{name}: {value}"' for name, value in self.headers)
        method = "" if self.method == "GET" else f" -X {self.method}"
        return f'curl{method}{headers} "http://{_HOST}{self.path}"'


class MetadataClient:
    """Asks one instance's metadata service.

    `proxy`: the sandbox's proxy of that instance (empty: 100.100.100.200 itself, which only works on the instance);
    `called` the instance's name; `timeout` in seconds for connecting and for each answer (None: 3 and 10); `why_silent` is
    asked where nothing answers, and returns the reason and the next step (empty: not known); `record` is told every step.
    The address answers for whichever instance it is asked on. So a client of one instance first reads, once, on which
    it is, and raises MetadataError on another.
    """

    def __init__(
        self,
        proxy: str = "",
        *,
        instance_id: str = "",
        called: str = "",
        timeout: float | None = None,
        why_silent: Callable[[], tuple[str, str]] | None = None,
        record: Callable[[MetadataStep], None] | None = None,
    ) -> None:
        self._proxy: tuple[str, int] | None = None
        self._proxy_user = Secret()  # the header's value that tells the sandbox which instance is asking
        if proxy:
            parts = urlsplit(proxy)
            self._proxy = (parts.hostname or "", parts.port or 80)
            if parts.username:
                user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                self._proxy_user = Secret("Basic " + base64.b64encode(user.encode()).decode())
        self.instance_id = instance_id
        self._typed = f"cloud.instances[{(called or instance_id)!r}]" if instance_id else "cloud.here"
        self._why_silent = why_silent
        self.timeout = timeout
        self._own_id: str | None = None  # of the machine this runs on, once it has been asked for
        self._record = record
        self.steps: list[MetadataStep] = []

    def __repr__(self) -> str:
        return f"MetadataClient(instance_id={self.instance_id!r}, steps={len(self.steps)})"

    # -- steps -----------------------------------------------------------------------------------------------

    def token(self, ttl: int = MAX_TTL) -> str:
        """Ask for a token valid `ttl` seconds (1 to 21600). Raises TokenRefused, MetadataUnreachable, InputError."""
        if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= MAX_TTL:
            raise InputError(
                f"A metadata token's validity is 1 to {MAX_TTL} seconds, not {ttl!r}.",
                next_step="for example: token(ttl=300)",
            )
        status, text = self.request("PUT", "/latest/api/token", {_TTL_HEADER: str(ttl)}, secret_answer=True)
        if status == 200:
            return text
        reasons = {
            400: ("the validity was refused", "give 1 to 21600 seconds"),
            403: (
                "metadata is disabled on the instance, or the request was forwarded by a proxy",
                "look whether metadata is on (cloud.instances[…] says so); ask it without a proxy in between",
            ),
            404: (
                "the metadata service here does not know tokens",
                "use normal mode, or update the instance",
            ),
        }
        reason, step = reasons.get(status, ("the metadata service failed", "try again in a moment"))
        raise TokenRefused(f"No metadata token: HTTP {status}.", status=status, reason=reason, next_step=step)

    def get(self, path: str, token: str = "") -> str:
        """Read one metadata item, e.g. `meta-data/region-id`; without a token: normal mode. Raises MetadataError."""
        full = path if path.startswith("/") else f"/latest/{path}"
        secret = re.fullmatch(_CREDENTIALS + "[^/]+", full, re.I) is not None
        status, text = self.request(
            "GET", full, {_TOKEN_HEADER: token} if token else {}, secret_answer=secret
        )
        if status == 200:
            return text
        raise self._refusal(status, full, bool(token))

    def role_name(self, token: str = "") -> str:
        """Return the name of the attached role. Raises NoRoleAttached where there is none."""
        status, text = self.request("GET", _CREDENTIALS, {_TOKEN_HEADER: token} if token else {})
        if status == 200 and text.strip():
            return text.strip()
        if status in (200, 404):
            raise NoRoleAttached(
                f"No RAM role is attached to {self.instance_id or 'this instance'}.",
                status=status,
                next_step=f"attach one: {self._typed}.attach(role)",
            )
        raise self._refusal(status, _CREDENTIALS, bool(token))

    # -- the whole way ---------------------------------------------------------------------------------------

    def credentials(self, role_name: str = "", *, mode: str = HARDENED) -> StsCredentials:
        """Fetch the role's temporary credential: a token first in security hardening mode, none in normal mode.

        `role_name` empty: it is asked for. Raises NoRoleAttached, WrongRoleName (names the attached one, or says that
        it was deleted), HardenedOnly, TokenRefused, MetadataUnreachable.
        """
        if mode not in MODES:
            raise InputError(
                f"There is no mode {mode!r}.{nearest(str(mode), MODES)}",
                next_step=f"the modes: {', '.join(MODES)}",
            )
        token = self.token() if mode == HARDENED else ""
        name = role_name or self.role_name(token)
        headers = {_TOKEN_HEADER: token} if token else {}
        path = _CREDENTIALS + quote(name, safe="")
        status, text = self.request("GET", path, headers, secret_answer=True)
        if status == 404:
            attached = self.role_name(token)  # raises NoRoleAttached if there is none
            if attached == name:
                raise WrongRoleName(
                    f"{self.instance_id or 'This instance'} names the role {name!r}, and there is no credential of it.",
                    status=404,
                    reason="the role was deleted while it was attached",
                    next_step=f"create it again: cloud.roles.create({name!r}), and grant it what it needs; "
                    f"or take its name off: {self._typed}.detach()",
                )
            raise WrongRoleName(
                f"The role {name!r} is not attached to {self.instance_id or 'this instance'}: {attached!r} is.",
                status=404,
                next_step=f"ask for {attached!r}, or for no name at all: it is found by itself",
            )
        if status != 200:
            raise self._refusal(status, path, bool(token))
        return self._parse(text, name, mode)

    def _parse(self, text: str, name: str, mode: str) -> StsCredentials:
        try:
            found: Any = json.loads(text)
        except ValueError:
            found = {}
        if not isinstance(found, dict):
            found = {}
        if found.get("Code") != "Success":
            raise MetadataError(
                f"The metadata service gave no credential for {name!r}: {found.get('Code', 'no JSON')}.",
                status=200,
                reason=str(found.get("Message", "")),
                next_step="check the role's trust policy: it must name ecs.aliyuncs.com",
            )
        bad = [field for field in _FIELDS if not isinstance(found.get(field), str) or not found[field]]
        try:
            times = {field: parse_time(str(found[field])) for field in _TIMES if found.get(field)}
        except ValueError:
            bad.append("a time that is none")
        if bad:
            del found  # a debugger would show it with the traceback
            raise MetadataError(
                f"The credential of {name!r} is incomplete: {', '.join(bad)}.",
                status=200,
                next_step="try again in a moment",
            )
        return StsCredentials(
            access_key_id=found["AccessKeyId"],
            access_key_secret=found["AccessKeySecret"],
            security_token=found["SecurityToken"],
            expiration=times["Expiration"],
            last_updated=times.get("LastUpdated"),
            role_name=name,
            instance_id=self.instance_id,
            mode=mode,
        )

    # -- one request -----------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, headers: dict[str, str], *, secret_answer: bool = False
    ) -> tuple[int, str]:
        """Send one request and return (status, text). Raises MetadataUnreachable where nothing answers."""
        if self._proxy is None and self.instance_id:
            self._check_here()
        return self._send(method, path, headers, secret_answer=secret_answer)

    def _check_here(self) -> None:
        if self.instance_id in found_here:
            return
        if self._own_id is None:
            ttl = {_TTL_HEADER: "60"}
            status, token = self._send("PUT", "/latest/api/token", ttl, secret_answer=True)
            held = {_TOKEN_HEADER: token} if status == 200 else {}
            status, text = self._send("GET", "/latest/meta-data/instance-id", held)
            # Where it may not be read (metadata is off, or throttled), the request itself will say so.
            self._own_id = text.strip() if status == 200 else ""
            if self._own_id:
                found_here.add(self._own_id)
        if self._own_id not in ("", self.instance_id):
            raise MetadataError(
                f"This program runs on {self._own_id}, not on {self.instance_id}.",
                reason="the metadata service answers for the instance it is asked on, whichever is meant",
                next_step=f"run this on {self.instance_id}, or take the instance this runs on: cloud.here",
            )

    def _send(
        self, method: str, path: str, headers: dict[str, str], *, secret_answer: bool = False
    ) -> tuple[int, str]:
        started = time.perf_counter()
        if self._proxy is not None:
            host, port = self._proxy
            target = f"http://{_HOST}{path}"
        else:
            host, port, target = _HOST, 80, path
        proxy_user = {"Proxy-Authorization": self._proxy_user} if self._proxy_user else {}
        connection = http.client.HTTPConnection(host, port, timeout=self.timeout or _CONNECT_TIMEOUT)
        trouble, status, text = "", 0, ""
        try:
            connection.connect()
            connection.sock.settimeout(self.timeout or _ANSWER_TIMEOUT)
            connection.request(method, target, headers={"Host": _HOST, **proxy_user, **headers})
            response = connection.getresponse()
            status, text = response.status, response.read(1 << 20).decode("utf-8", "replace")
            if response.length:
                trouble = "its answer was cut off"
        except (OSError, http.client.HTTPException) as error:
            trouble = f"{type(error).__name__}: {error}".rstrip(": ")
        finally:
            connection.close()
        if secret_answer and status == 200:
            remember(*re.findall(r'"(?:AccessKeySecret|SecurityToken)"\s*:\s*"([^"]+)"', text) or [text])
            text = Secret(text)
        self._note(method, path, headers, status, MASK if secret_answer and status == 200 else text, started)
        if trouble or (status in (407, 502, 504) and self._proxy is not None):
            reason, next_step = trouble or text.strip(), self._what_next(trouble)
            if not trouble.startswith("ConnectionRefusedError") and self._why_silent is not None:
                why, step = self._why_silent()
                reason, next_step = why or reason, step or next_step
            raise MetadataUnreachable(
                f"The metadata service of {self.instance_id or 'this machine'} does not answer.",
                status=status,
                reason=reason,
                next_step=next_step,
            )
        return status, text

    def _what_next(self, trouble: str) -> str:
        if not trouble or self._proxy is None:
            return (
                "run this on the instance itself; there, check that the security group and the firewall let "
                f"{_HOST} through"
            )
        if trouble.startswith("ConnectionRefusedError"):
            return f"the sandbox has ended; {START_AGAIN}"
        return "is the sandbox running? ramrole sandbox status"

    def _note(
        self, method: str, path: str, headers: dict[str, str], status: int, answer: str, started: float
    ) -> None:
        shown = tuple((n, "$TOKEN" if n == _TOKEN_HEADER else v) for n, v in headers.items())
        ms = round((time.perf_counter() - started) * 1000, 2)
        step = MetadataStep(method, path, shown, status, redact(answer[:2_000]), ms)
        self.steps.append(step)
        del self.steps[:-200]
        if self._record is not None:
            self._record(step)

    def _refusal(self, status: int, path: str, with_token: bool) -> MetadataError:
        if status == 403 and not with_token:
            return HardenedOnly(
                "The metadata service refused a request without a token.",
                status=403,
                reason="the instance is set to security hardening mode only (HttpTokens=required), or metadata is disabled",
                next_step="ask in security hardening mode: vm.credentials(mode='security hardening')",
            )
        if status == 401:
            return TokenRefused(
                "The metadata service refused the token.",
                status=401,
                reason="it has expired, or another instance got it",
                next_step="ask for a new token",
            )
        if status == 404:
            return MetadataError(
                f"There is no metadata at {path}.",
                status=404,
                next_step="read the folder above it, with a slash at its end",
            )
        return MetadataError(f"The metadata service answered HTTP {status} for {path}.", status=status)
