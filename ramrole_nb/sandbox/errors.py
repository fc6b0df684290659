"""The errors a service of the sandbox answers with; `answers.py` gives each its wire form."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ApiError", "FrontError", "ImdsError", "OpenApiError", "OssError"]


class ApiError(Exception):
    """Base: an answer with an HTTP status instead of a result."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class OpenApiError(ApiError):
    """An error of RAM, ECS, STS or the gateway before them; `detail` is AccessDeniedDetail."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.detail = dict(detail or {})
        self.headers = dict(headers or {})


class OssError(ApiError):
    """An error of OSS; `ec` its number, `extra` further elements of `<Error>`, `detail` AccessDeniedDetail."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        ec: str = "",
        extra: Mapping[str, str] | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, message)
        self.ec = ec
        self.extra = dict(extra or {})
        self.detail = dict(detail or {})


class ImdsError(ApiError):
    """A refusal of the metadata service, answered as an XHTML page."""

    def __init__(self, status: int, message: str, *, why: str = "") -> None:
        super().__init__(status, "", message)
        self.why = why  # for the journal; the real page does not say


class FrontError(ApiError):
    """A request the sandbox itself refuses, before any service: plain text that teaches."""
