"""The one place that calls the services: runs an SDK operation, records it, and turns its errors into ours."""

from __future__ import annotations

import base64
import contextlib
import contextvars
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ..endpoints import Endpoints
from ..errors import START_AGAIN, MetadataError, RamroleError, ServerFault, ServiceError
from ..redact import redact
from .explain import service_error
from .sdk import load, make_client, snake
from .wire import Wire

__all__ = ["Calls", "checking", "is_checking"]

T = TypeVar("T")

# Of the context and not of a thread, so that work handed to a pool with its context stays a look-up.
_checking: contextvars.ContextVar[bool] = contextvars.ContextVar("ramrole_checking", default=False)


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Mark the calls made inside, through whatever `Calls`, as look-ups: the wire folds them away."""
    before = _checking.set(True)
    try:
        yield
    finally:
        _checking.reset(before)


def is_checking() -> bool:
    """Tell whether a call made now is a look-up."""
    return _checking.get()


class Calls:
    """Calls signed with one credential source.

    `provider` has `get_credentials()` (the SDKs' own interface); `caller` names it for people; `timeouts_ms` for
    connecting and for each answer (None: as every session's).
    """

    def __init__(
        self,
        endpoints: Endpoints,
        region_id: str,
        provider: Any,
        wire: Wire,
        caller: str,
        timeouts_ms: tuple[int, int] | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.region_id = region_id
        self.provider = provider
        self.wire = wire
        self.caller = caller
        self._more = () if timeouts_ms is None else (timeouts_ms,)
        self._clients: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._lock = threading.Lock()

    def checking(self) -> contextlib.AbstractContextManager[None]:
        """Mark the calls made inside as look-ups before a change: the wire folds them away."""
        return checking()

    def _client(self, product: str, region_id: str) -> tuple[Any, Any]:
        key = (product, region_id if product != "Ram" else "")
        with self._lock:
            if key not in self._clients:
                credential = load("alibabacloud_credentials.client").Client(provider=self.provider)
                self._clients[key] = make_client(product, self.endpoints, region_id, credential, *self._more)
            return self._clients[key]

    def ram(self, action: str, **params: Any) -> dict[str, Any]:
        """Call an operation of RAM; parameters by the SDK's names. Returns the answer as the service names it."""
        return self._openapi("Ram", action, self.region_id, params)

    def ecs(self, action: str, region_id: str = "", **params: Any) -> dict[str, Any]:
        """Call an operation of ECS in a region (empty: the session's)."""
        region = region_id or self.region_id
        return self._openapi("Ecs", action, region, {"region_id": region, **params})

    def sts(self, action: str, **params: Any) -> dict[str, Any]:
        """Call an operation of STS."""
        return self._openapi("Sts", action, self.region_id, params)

    def _openapi(
        self, product: str, action: str, region_id: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        started = time.perf_counter()
        status, request_id, failure = 0, "", None
        answer: dict[str, Any] = {}
        try:
            client, models = self._client(product, region_id)
            request_type = getattr(models, f"{action}Request", None)
            if action == "DescribeRegions":
                params = {name: value for name, value in params.items() if name != "region_id"}
            method = getattr(client, snake(action))
            response = method(request_type(**_modelled(models, action, params))) if request_type else method()
            answer = response.body.to_map()
            status, request_id = response.status_code or 200, answer.get("RequestId", "")
        except RamroleError as error:  # our own provider, asked for a credential
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises becomes one of ours
            failure = _naming(params, _openapi_failure(error, product, action, self.endpoints))
        if isinstance(failure, (MetadataError, ServiceError)):
            status, request_id = failure.status, getattr(failure, "request_id", "")
        # Raised outside of the except block: the SDK's exception, which holds the whole request, is not kept as context.
        self._ended(product, action, params, status, request_id, started, failure)
        return answer

    def oss(self, action: str, params: Mapping[str, Any], run: Callable[[], T]) -> T:
        """Run an oss2 call, record it, and turn its errors into ours. Returns what `run` returns."""
        started = time.perf_counter()
        status, request_id, failure = 200, "", None
        result: Any = None
        try:
            result = run()
            request_id = str(getattr(result, "request_id", "") or "")
            status = int(getattr(result, "status", 200) or 200)
        except RamroleError as error:
            failure = error
            status = error.status if isinstance(error, (MetadataError, ServiceError)) else 0
        except Exception as error:
            failure = oss_failure(error, action, self.endpoints)
            if failure is None:
                raise
            status, request_id = failure.status, failure.request_id
        self._ended("Oss", action, params, status, request_id, started, failure)
        return result  # type: ignore[no-any-return]

    def _ended(
        self,
        product: str,
        action: str,
        params: Mapping[str, Any],
        status: int,
        request_id: str,
        started: float,
        failure: RamroleError | None,
    ) -> None:
        """Record a call, and raise its failure."""
        self.wire.record(
            product,
            action,
            params,
            status=status,
            request_id=request_id,
            started=started,
            caller=self.caller,
            error=failure.what if failure else "",
            check=is_checking(),
        )
        if failure is not None:
            raise failure


def _modelled(models: Any, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with each list of objects (tags) as the SDK's own models of them."""

    def model(name: str, value: Any) -> Any:
        if not (isinstance(value, list) and value and isinstance(value[0], Mapping)):
            return value
        kind = getattr(models, f"{action}Request{''.join(word.title() for word in name.split('_'))}")
        return [kind(**item) for item in value]

    return {name: model(name, value) for name, value in params.items()}


def _naming(params: Mapping[str, Any], failure: RamroleError) -> RamroleError:
    """Name the role of the call in the next step, so that it can be typed as it stands."""
    if name := params.get("role_name") or params.get("ram_role_name"):
        failure.next_step = re.sub(
            r"\brole\.(?=\w+\()", lambda _: f"cloud.roles[{name!r}].", failure.next_step
        )
    return failure


def _openapi_failure(error: Exception, product: str, action: str, endpoints: Endpoints) -> RamroleError:
    inner = getattr(error, "inner_exception", None)
    if isinstance(inner, RamroleError):
        return inner  # our provider's: the SDK wraps whatever is raised below it
    data = getattr(error, "data", None)
    if isinstance(data, Mapping) and getattr(error, "code", None):
        return service_error(
            service=product,
            action=action,
            status=int(getattr(error, "status_code", 0) or data.get("statusCode", 0) or 0),
            code=str(error.code),  # type: ignore[attr-defined]
            message=redact(data.get("Message") or data.get("message") or ""),
            request_id=str(data.get("RequestId") or getattr(error, "request_id", "") or ""),
            detail=getattr(error, "access_denied_detail", None) or data.get("AccessDeniedDetail"),
        )
    return _no_answer(error, product, action, endpoints)


def oss_failure(error: Exception, action: str, endpoints: Endpoints) -> ServiceError | None:
    """Return our error for one of oss2's, or None if it is not one. Its body is parsed anew: oss2 loses nested parts."""
    oss2 = load("oss2")
    if isinstance(error, oss2.exceptions.RequestError) or _is_network(error):
        return _no_answer(error, "Oss", action, endpoints)
    if not isinstance(error, oss2.exceptions.OssError):
        return None
    fields = _error_fields(error)
    status = int(error.status) if error.status and error.status > 0 else 0
    return service_error(
        service="Oss",
        action=action,
        status=status,
        code=fields.get("Code") or str(error.code or ""),
        message=redact(fields.get("Message") or error.message or error.body or ""),
        request_id=str(error.request_id or fields.get("RequestId", "")),
        ec=fields.get("EC", "") or str(getattr(error, "ec", "") or ""),
        detail={
            k.removeprefix("AccessDeniedDetail."): v
            for k, v in fields.items()
            if k.startswith("AccessDeniedDetail.")
        },
        extra=fields,
    )


def _error_fields(error: Any) -> dict[str, str]:
    body = error.body
    headers = getattr(error, "headers", {}) or {}
    if not body and headers.get("x-oss-err"):
        body = base64.b64decode(headers["x-oss-err"])
    try:
        root = ET.fromstring(body)  # noqa: S314 - at most 4 KiB, and Python's expat limits entities
    except (ET.ParseError, TypeError, ValueError):
        return {}
    fields: dict[str, str] = {}
    for child in root:
        fields[child.tag] = child.text or ""
        for nested in child:
            fields[f"{child.tag}.{nested.tag}"] = nested.text or ""
    return fields


def _is_network(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("requests", "urllib3") or isinstance(error, OSError)


# What requests, urllib3 and the sockets below them say, and what it means. The first that fits counts.
_MEANS = tuple(
    (re.compile(said, re.I), words)
    for said, words in (
        (r"Connection refused|actively refused", "nothing listens there"),
        (r"ProxyError|Tunnel connection failed", "the proxy could not be reached, or it refused"),
        (
            r"NameResolutionError|Name or service not known|Temporary failure in name resolution|nodename nor servname",
            "its name could not be resolved",
        ),
        (r"CERTIFICATE_VERIFY_FAILED|SSLError", "its certificate is not trusted, or it speaks no TLS"),
        (r"(?:Read |connect )?timed out", "it did not answer in time"),
        (
            r"Connection (?:reset|aborted|broken)|RemoteDisconnected|IncompleteRead|Broken pipe",
            "the connection was cut off",
        ),
    )
)
_HOST = re.compile(r"https?://([^/\s'\"]+)")
_PORT = re.compile(r"host='([^']+)', port=(\d+)")


def _no_answer(error: Exception, product: str, action: str, endpoints: Endpoints) -> ServiceError:
    error = getattr(error, "exception", None) or error  # oss2 wraps requests' own
    told = redact(error)
    found = next(((match[0], words) for said, words in _MEANS if (match := said.search(told))), None)
    asked = _HOST.search(told) or _PORT.search(told)
    where = f" by {asked[1]}" if asked else ""
    what = f"{product} {action} was not answered{where}."
    next_step = "check the network, the region and the endpoint, and try again"
    reason = f"{found[1]} ({found[0]})" if found else (told.splitlines() or [type(error).__name__])[0][:300]
    if endpoints.proxy:
        next_step = "is the sandbox running? ramrole sandbox status"
        if found and found[1] == _MEANS[0][1]:
            reason = (
                f"nothing listens at {redact(endpoints.proxy)} any more: the sandbox has ended ({found[0]})"
            )
            next_step = START_AGAIN
            # The host named in the message is the cloud's, which nothing was sent to.
            what = f"The sandbox does not run any more: {product} {action} was not sent anywhere."
    return ServerFault(
        what,
        service=product,
        action=action,
        reason=reason,
        next_step=next_step,
    )
