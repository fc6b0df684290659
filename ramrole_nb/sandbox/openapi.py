"""The gateway before RAM, ECS and STS: which operation, who asks, are the parameters there, may they do it.

A service adds an operation by decorating a function with `@operation`; nothing else has to know of it. It declares
which parameters it honours and which of the vendor's it refuses; a parameter the vendor's API does not have is
ignored, as the real gateway ignores it (seen with every SDK: `OwnerId` and its like are sent to operations that have
none).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..policy import Decision, Outcome
from .answers import Answer, openapi_error, openapi_result
from .authenticate import Authenticator
from .authorize import Authorizer, denied_detail
from .errors import OpenApiError
from .exchange import Exchange, Principal, parse_query
from .knobs import Knobs
from .store import Store

__all__ = ["Call", "Gateway", "Operation", "Param", "operation", "operations", "read_json"]

_PRODUCTS = {"2015-05-01": "Ram", "2014-05-26": "Ecs", "2015-04-01": "Sts"}


@dataclass(frozen=True)
class Param:
    """A parameter of an operation. `required` ones are checked by the gateway, before any permission."""

    name: str
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """One API operation. `resources` names the ARNs a caller needs `action` on (None: the handler decides).

    `refused` are parameters of the vendor's operation that the sandbox does not model: using one is an error.
    """

    product: str
    name: str
    handler: Callable[[Call], Mapping[str, Any]]
    params: tuple[Param, ...]
    action: str
    resources: Callable[[Call], Iterable[str]] | None
    missing: str = "Missing"
    refused: frozenset[str] = frozenset()

    @property
    def honoured(self) -> tuple[str, ...]:
        """The names of the parameters that count; `Tag` stands for `Tag.1.Key` and so on."""
        return tuple(param.name for param in self.params)


_OPERATIONS: dict[tuple[str, str], Operation] = {}


def operation(
    product: str,
    name: str,
    *,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
    action: str = "",
    resources: Callable[[Call], Iterable[str]] | None = None,
    missing: str = "Missing",
    refused: Sequence[str] = (),
) -> Callable[[Callable[[Call], Mapping[str, Any]]], Callable[[Call], Mapping[str, Any]]]:
    """Register a handler as the operation `name` of `product`; `missing` begins the code of an absent parameter.

    Every parameter of the vendor's metadata belongs into `required`, `optional` or `refused` (a test holds that).
    """

    def register(handler: Callable[[Call], Mapping[str, Any]]) -> Callable[[Call], Mapping[str, Any]]:
        params = (*(Param(p, True) for p in required), *(Param(p) for p in optional))
        _OPERATIONS[product, name.lower()] = Operation(
            product,
            name,
            handler,
            params,
            action or f"{product.lower()}:{name}",
            resources,
            missing,
            frozenset(refused),
        )
        return handler

    return register


def operations() -> list[Operation]:
    """Return every registered operation."""
    return list(_OPERATIONS.values())


@dataclass
class Call:
    """One authenticated call of an operation."""

    operation: Operation
    params: dict[str, str]
    principal: Principal
    store: Store
    authorizer: Authorizer
    knobs: Knobs
    exchange: Exchange
    region_id: str = ""
    spawn: Callable[[Coroutine[Any, Any, None]], None] = lambda work: work.close()
    decisions: list[Decision] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        """The account the call acts in."""
        return self.store.account_id

    def get(self, name: str, default: str = "") -> str:
        """Return a parameter as sent (empty: not sent)."""
        return self.params.get(name, default)

    def listed(self, name: str) -> list[str]:
        """Return a repeated parameter, `Name.1`, `Name.2`, ..."""
        pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,4}})")
        numbered = [(int(m[1]), v) for k, v in self.params.items() if (m := pattern.fullmatch(k))]
        return [value for _, value in sorted(numbered)]

    def integer(self, name: str, default: int, *, low: int, high: int, code: str = "") -> int:
        """Return an integer parameter in its limits, or raise InvalidParameter."""
        text = self.get(name)
        if not text:
            return default
        if not re.fullmatch(r"-?\d{1,12}", text) or not low <= int(text) <= high:
            raise OpenApiError(
                400, code or f"InvalidParameter.{name}", f'The parameter - "{name}" must be {low} to {high}.'
            )
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a Boolean parameter (absent: false)."""
        return self.get(name).lower() == "true"

    def may(self, action: str, resource: str, context: Mapping[str, str] | None = None) -> Decision:
        """Evaluate a permission without raising."""
        decision = self.authorizer.decide(self.exchange, self.principal, action, resource, context)
        self.decisions.append(decision)
        return decision

    def need(self, action: str, resource: str, context: Mapping[str, str] | None = None) -> None:
        """Raise the service's own refusal unless the caller may do `action` on `resource`."""
        decision = self.may(action, resource, context)
        if decision.outcome is not Outcome.ALLOW:
            refuse(self, action, resource, decision)


def refuse(call: Call, action: str, resource: str, decision: Decision) -> NoReturn:
    """Raise a permission refusal in the service's words.

    Sources: RAM https://github.com/alibaba/funcraft (live NoPermission text); ECS
    https://github.com/alibaba/terraform-provider/issues/182 (Forbidden.RAM).
    """
    detail = denied_detail(call.principal, action, decision)
    if call.operation.product == "Ecs":
        raise OpenApiError(
            403,
            "Forbidden.RAM",
            "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
            detail=detail,
        )
    raise OpenApiError(
        403,
        "NoPermission",
        f"You are not authorized to do this action. Resource: {resource} Action: {action}",
        detail=detail,
    )


def read_json(text: str, pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None) -> Any:
    """Read a parameter that is JSON. Raises ValueError, also where it is nested too deeply to be read."""
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class Gateway:
    """Takes an OpenAPI exchange to its operation and back."""

    def __init__(
        self, store: Store, knobs: Knobs, authenticator: Authenticator, authorizer: Authorizer
    ) -> None:
        self._store = store
        self._knobs = knobs
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with work after the answer is out; `close` ends what is left of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel the work that goes on."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel the work that goes on, and wait until it has cleaned up."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    def claims(ex: Exchange) -> bool:
        """Tell whether an exchange on the shared address is an OpenAPI call."""
        if "x-acs-action" in ex.headers or "x-acs-version" in ex.headers:
            return True
        names = {part.partition("=")[0] for part in ex.query.split("&")}
        form = ex.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return ex.path in ("", "/") and (
            {"Action", "Version"} <= names or (form and "Signature" not in names)
        )

    async def answer(self, ex: Exchange) -> Answer:
        """Answer the exchange."""
        body = await ex.read_body()
        query = parse_query(ex.query)
        form: list[tuple[str, str]] = []
        if ex.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = parse_query(body.decode("utf-8", "replace"))
        params = dict([*query, *form])
        wants_xml = "authorization" not in ex.headers and params.get("Format", "XML").upper() == "XML"
        wants_xml = wants_xml or "xml" in ex.headers.get("accept", "")
        # RPC signs its parameters and no header: there the headers do not count.
        named = ex.headers if "authorization" in ex.headers or "Signature" not in params else {}
        action = named.get("x-acs-action") or params.get("Action", "")
        version = named.get("x-acs-version") or params.get("Version", "")
        product = _PRODUCTS.get(version, "")
        ex.service = product or "OpenAPI"
        ex.note(operation=action)
        host = ex.host_header
        try:
            if len(params) != len(query) + len(form):
                raise OpenApiError(400, "InvalidParameter", "A parameter is given more than once.")
            found = self._find(ex, product, action)
            ex.note(operation=found.name, params=_shown(params))
            if ex.method not in ("GET", "POST"):
                raise OpenApiError(405, "UnsupportedHTTPMethod", "This http method is not supported.")
            ex.principal = self._authenticator.openapi(ex, query, form, body)
            self._knobs.before_openapi(ex, found.product)
            call = Call(
                found,
                params,
                ex.principal,
                self._store,
                self._authorizer,
                self._knobs,
                ex,
                params.get("RegionId", ""),
                self.spawn,
            )
            for param in found.params:
                if param.required and not params.get(param.name):
                    raise _missing(found, param.name)
            _check_modelled(found, params)
            if found.resources is not None:
                for resource in found.resources(call):
                    call.need(found.action, resource)
            answer = openapi_result(found.name, found.handler(call), ex.request_id, xml=wants_xml)
            return self._knobs.faults.after_openapi(ex, found.name, answer)
        except OpenApiError as error:
            # RPC's string to sign holds the caller's security token: for the caller's eyes only.
            ex.note(error=error.code, message=error.message.partition(" server string to sign is:")[0])
            return openapi_error(error, ex.request_id, host, product or "OpenAPI", xml=wants_xml)

    def _find(self, ex: Exchange, product: str, action: str) -> Operation:
        if not product:
            raise OpenApiError(400, "InvalidVersion", "Specified parameter Version is not valid.")
        expected = _product_of(ex.host)
        if expected and expected != product:
            raise OpenApiError(
                404, "InvalidProduct.NotFound", "Cannot find product according to your specified domain."
            )
        found = _OPERATIONS.get((product, action.lower()))
        if found is None or ex.path != "/":
            raise OpenApiError(
                404,
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
            )
        return found


def _missing(found: Operation, name: str) -> OpenApiError:
    if found.missing == "Missing":  # the gateway's own form
        return OpenApiError(400, f"Missing{name}", f"{name} is mandatory for this action.")
    return OpenApiError(
        400,
        f"{found.missing}{name}",
        f"The input parameter {name} that is mandatory for processing this request is missing.",
    )


def _check_modelled(found: Operation, params: Mapping[str, str]) -> None:
    """Refuse a parameter the vendor's operation has and the sandbox does not model; the code is ours."""
    for name, value in params.items():
        if value and not found.refused.isdisjoint((name, name.partition(".")[0])):
            raise OpenApiError(
                400,
                f"UnsupportedParameter.{name}",
                f"The parameter {name} of {found.name} is not modelled by the sandbox. Leave it out.",
            )


def _product_of(host: str) -> str:
    """Return the product a host name stands for (empty: the sandbox's own address serves all)."""
    if not host.endswith(".aliyuncs.com"):
        return ""
    name = re.split(r"[.-]", host, maxsplit=1)[0]
    return {"ram": "Ram", "ecs": "Ecs", "sts": "Sts"}.get(name, "unknown")


def _shown(params: Mapping[str, str]) -> dict[str, str]:
    """The operation's own parameters, for the journal (common parameters and secrets left out)."""
    hidden = {"Signature", "SecurityToken", "AccessKeyId", "SignatureNonce", "Timestamp", "SignatureMethod"}
    hidden |= {"SignatureVersion", "Format", "Version", "Action"}
    return {name: value for name, value in params.items() if name not in hidden}
