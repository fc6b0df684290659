"""Wire forms of results and errors: JSON and XML of the OpenAPI services, XML of OSS, XHTML of the metadata service."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .errors import ApiError, ImdsError, OpenApiError, OssError

__all__ = ["Answer", "FileBody", "imds_page", "openapi_error", "openapi_result", "oss_error", "xml_tree"]

_XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class FileBody:
    """A body sent from a file: `count` bytes from `offset`. `damage`: how a fault spoils it on the way."""

    path: Path
    offset: int
    count: int
    damage: str = ""


@dataclass
class Answer:
    """An answer before it is sent."""

    status: int = 200
    body: bytes | FileBody = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def xml_tree(name: str, value: Any) -> str:
    """Render a value as XML; a list repeats its element, None is left out."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "".join(xml_tree(name, item) for item in value)
    if isinstance(value, Mapping):
        return f"<{name}>" + "".join(xml_tree(k, v) for k, v in value.items()) + f"</{name}>"
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{_xml_text(str(value))}</{name}>"


def _xml_text(text: str) -> str:
    # XML 1.0 has no way to write most control characters; the services print a question mark too.
    return escape("".join(c if c in "\t\n\r" or c >= " " else "?" for c in text))


def openapi_result(action: str, result: Mapping[str, Any], request_id: str, *, xml: bool) -> Answer:
    """Answer an operation's result, RequestId first."""
    full = {"RequestId": request_id, **result}
    if xml:
        text = _XML_HEAD + xml_tree(f"{action}Response", full)
        return Answer(200, text.encode(), "text/xml;charset=utf-8")
    return Answer(200, json.dumps(full, ensure_ascii=False).encode(), "application/json;charset=utf-8")


def openapi_error(error: ApiError, request_id: str, host: str, product: str, *, xml: bool) -> Answer:
    """Answer an error in the gateway's shape.

    Source: https://github.com/AlibabaCloudDocs/ram (call methods, results); AccessDeniedDetail: RDS and ACK samples.
    """
    full: dict[str, Any] = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product={product}&requestId={request_id}",
    }
    if isinstance(error, OpenApiError) and error.detail:
        full["AccessDeniedDetail"] = error.detail
    headers = dict(error.headers) if isinstance(error, OpenApiError) else {}
    if xml:
        text = _XML_HEAD + xml_tree("Error", full)
        return Answer(error.status, text.encode(), "text/xml;charset=utf-8", headers)
    body = json.dumps(full, ensure_ascii=False).encode()
    return Answer(error.status, body, "application/json;charset=utf-8", headers)


def oss_error(error: OssError, request_id: str, host: str, *, head: bool) -> Answer:
    """Answer an error in OSS's shape; to HEAD the body travels in `x-oss-err`, Base64.

    Source: https://github.com/AlibabaCloudDocs/oss (troubleshooting) and oss2 2.19.1 (x-oss-err).
    """
    fields: dict[str, Any] = {
        "Code": error.code,
        "Message": error.message,
        "RequestId": request_id,
        "HostId": host,
        **error.extra,
    }
    if error.ec:
        fields["EC"] = error.ec
        fields["RecommendDoc"] = f"https://api.alibabacloud.com/troubleshoot?q={error.ec}"
    if error.detail:
        fields["AccessDeniedDetail"] = error.detail
    body = (_XML_HEAD + xml_tree("Error", fields)).encode()
    headers = {"x-oss-ec": error.ec} if error.ec else {}
    if head:
        headers["x-oss-err"] = base64.b64encode(body).decode()
        return Answer(error.status, b"", "application/xml", headers)
    return Answer(error.status, body, "application/xml", headers)


def imds_page(error: ImdsError) -> Answer:
    """Answer a refusal of the metadata service: the XHTML page it is known to send with 404.

    Source: https://github.com/aliyun/aliyun-cli/issues/525. The pages of 400, 401, 403 and 405 are ours, alike.
    """
    title = f"{error.status} - {error.message or HTTPStatus(error.status).phrase}"
    page = f"""<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"""
    return Answer(error.status, page.encode(), "text/html")
