"""Making clients of the official SDKs: imported on first use, quiet, and each with its proxy named."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from ..endpoints import Endpoints
from ..redact import redact

__all__ = ["load", "make_client", "oss_bucket", "oss_service", "snake"]

# Milliseconds. The SDKs' read default is the same; oss2's of 60 s for connecting too is what makes a wrong endpoint
# look like a hang (https://github.com/aliyun/aliyun-oss-python-sdk/pull/15).
CONNECT_TIMEOUT_MS = 5_000
READ_TIMEOUT_MS = 10_000
OSS_TIMEOUT_SECONDS = (5, 30)

_PACKAGES = {
    "Ram": "alibabacloud_ram20150501",
    "Ecs": "alibabacloud_ecs20140526",
    "Sts": "alibabacloud_sts20150401",
}
_import_lock = threading.Lock()


_SDK_LOGGERS = (
    "oss2",
    "credentials",
    "alibabacloud",
    "alibabacloud-tea",
    "alibabacloud_credentials",
    "urllib3",
)


class _Redacting(logging.Filter):
    """Masks secrets in what the SDKs log: at DEBUG, oss2 writes every header, the security token among them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info))).rstrip()
        return True


_redacting = _Redacting()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Take off the log handlers an SDK adds while it is imported: every line would appear several times."""
    names = ("credentials", "oss2", "alibabacloud-tea", "alibabacloud_credentials")
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).level) for name in names}
    root = list(logging.getLogger().handlers)
    try:
        yield
    finally:
        for name, (handlers, level) in before.items():
            logger = logging.getLogger(name)
            for handler in list(logger.handlers):
                if handler not in handlers:
                    logger.removeHandler(handler)
            logger.setLevel(level)
        for handler in list(logging.getLogger().handlers):
            if handler not in root:
                logging.getLogger().removeHandler(handler)


def load(name: str) -> ModuleType:
    """Import an SDK module quietly, its logs masked; safe from several threads."""
    with _import_lock, _quiet():
        module = importlib.import_module(name)
        for logger in list(logging.root.manager.loggerDict.values()):
            # Each one: a logger's filter does not see what the loggers below it are given. Adding it again changes nothing.
            if isinstance(logger, logging.Logger) and logger.name.split(".")[0] in _SDK_LOGGERS:
                logger.addFilter(_redacting)
        return module


def snake(action: str) -> str:
    """Return the SDK's method name of an action: `CreateRole` is `create_role`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in action).lstrip("_")


def make_client(
    product: str,
    endpoints: Endpoints,
    region_id: str,
    credential: Any,
    timeouts_ms: tuple[int, int] = (CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS),
) -> tuple[Any, ModuleType]:
    """Return (client, models module) of `Ram`, `Ecs` or `Sts`; `credential` is a credentials client of the SDK.

    `timeouts_ms`: for connecting and for each answer.
    """
    models = load("alibabacloud_tea_openapi.models")
    client_module = load(f"{_PACKAGES[product]}.client")
    endpoint = {"Ram": endpoints.ram, "Ecs": endpoints.ecs(region_id), "Sts": endpoints.sts(region_id)}[
        product
    ]
    config = models.Config(
        credential=credential,
        endpoint=endpoint,
        protocol=endpoints.scheme,
        region_id=region_id,
        connect_timeout=timeouts_ms[0],
        read_timeout=timeouts_ms[1],
    )
    if endpoints.proxy:
        config.http_proxy = endpoints.proxy
        config.https_proxy = endpoints.proxy
    return client_module.Client(config), load(f"{_PACKAGES[product]}.models")


def _oss_proxies(proxy: str) -> dict[str, str] | None:
    return {"http": proxy, "https": proxy} if proxy else None


def oss_service(endpoints: Endpoints, region_id: str, provider: Any) -> Any:
    """Return an oss2.Service, V4-signed."""
    oss2 = load("oss2")
    return oss2.Service(
        oss2.ProviderAuthV4(provider),
        endpoints.oss(region_id),
        region=region_id,
        connect_timeout=OSS_TIMEOUT_SECONDS,
        proxies=_oss_proxies(endpoints.proxy),
    )


def oss_bucket(
    endpoints: Endpoints,
    region_id: str,
    name: str,
    provider: Any,
    *,
    internal: bool,
    proxy: str,
    session: Any = None,
) -> Any:
    """Return an oss2.Bucket, V4-signed; `proxy` empty: the endpoints' own. Its CRC is off: transfers check their own."""
    oss2 = load("oss2")
    return oss2.Bucket(
        oss2.ProviderAuthV4(provider),
        endpoints.oss(region_id, internal=internal),
        name,
        region=region_id,
        session=session,
        connect_timeout=OSS_TIMEOUT_SECONDS,
        enable_crc=False,
        proxies=_oss_proxies(proxy or endpoints.proxy),
    )


def host_of(url: str) -> str:
    """Return the host of a URL."""
    return urlsplit(url).hostname or ""
