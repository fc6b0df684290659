"""Decides which cause a reading has, and which facts of it matter. Pure.

What decides, in this order: an error of ours; OSS's error number (EC); a sentence only one cause has; the service's code, a
refusal with its AccessDeniedDetail; the metadata service's status; the network; sentences of tools. A code that other
clouds share counts only where something of Alibaba Cloud's stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .causes import CAUSES
from .codes import CODES, DENIALS, EC, OURS, PREFIXES, SAID_BY_SERVICES, SAID_BY_TOOLS, SHARED
from .reading import Reading, any_of

__all__ = ["OF_TOKEN", "Found", "decide", "facts_of", "kind_of", "refusal", "service_of"]


@dataclass
class Found:
    """A verdict: the cause (empty: none), and what it leans on."""

    cause: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    diagnostic: Mapping[str, Any] | None = None


# What the metadata service's status means where a token was asked for.
OF_TOKEN = {400: "metadata-token-ttl", 401: "metadata-token-refused", 403: "metadata-token-forwarded",
             405: "metadata-token-method", 429: "metadata-throttled"}  # fmt: skip


# -- deciding --------------------------------------------------------------------------------------------------

_METADATA = re.compile(
    r"100\.100\.100\.200|ECS metadata service|get role name failed|refresh Ecs sts token|get sts token failed"
    r"|role name was not found in the instance|The role was not found in the instance|ecs_ram_role\.(?:py|go)"
    r"|EcsRamRole(?:Credential)?(?:s)?(?:Provider|Fetcher)",
    re.I,
)
# The pages of the metadata service: https://github.com/aliyun/aliyun-cli/issues/525
_METADATA_PAGE = re.compile(
    r"iso-8859-1.{0,400}XHTML 1\.0 Transitional.{0,600}<title>([1-5]\d\d) - [A-Z]", re.S
)
_OF_NAME = re.compile(r"\b(NoRoleAttached|WrongRoleName|HardenedOnly|MetadataUnreachable|SandboxNotRunning"
                      r"|PreflightRefused|CredentialsExpired|IntegrityError): ")  # fmt: skip
_TIMES_OUT = re.compile(
    r"timed? ?out|deadline exceeded|ETIMEDOUT|No route to host|Network is unreachable|EHOSTUNREACH|Max retries exceeded"
    r"|Host is down",
    re.I,
)
_REFUSED = re.compile(
    r"Connection refused|ECONNREFUSED|actively refused|Failed to connect|Couldn't connect", re.I
)
_UNRESOLVED = any_of(
    "Name or service not known|getaddrinfo|NameResolutionError|no such host|Could not resolve host|ENOTFOUND",
    "Temporary failure in name resolution|UnknownHostException|nodename nor servname|dial tcp: lookup ",
    "Unable to resolve host|No address associated",
)
_PROXY = any_of(
    "ProxyError|Cannot connect to proxy|407 Proxy|proxyconnect|Proxy Authentication",
    r"Received HTTP code \d{3} from proxy",
)
_CERTIFICATE = any_of(
    "CERTIFICATE_VERIFY_FAILED|certificate verify failed|x509: certificate|SSLError",
    "self.signed certificate",
)
_BROKEN = any_of(
    "Connection broken|Connection reset|ECONNRESET|Connection aborted|unexpected EOF",
    "ChunkedEncodingError",
)
_READ = re.compile(r"Read timed out|ReadTimeout|read: connection timed out", re.I)


def decide(reading: Reading) -> Found:
    """Return the cause of what was read, and the facts that decide."""
    text = reading.text
    ours = _OF_NAME.search(text)
    if ours:
        return Found(OURS[ours[1]], facts_of(reading))
    found = Found("", facts_of(reading))
    reading.decisive = _known_code(reading)
    for step in (_by_ec, _by_sentence, _by_code, _by_metadata, _by_network, _by_tool):
        step(reading, found)
        if found.cause:
            break
    return found


def _known_code(reading: Reading) -> str:
    """Return the code that decides: the first labelled one that is known, else one that stands in the text."""
    for code in reading.codes:
        for form in (code, re.sub(r"(?:Error|Exception)$", "", code)):
            if _cause_of(form) and (reading.alibaba or form not in SHARED):
                reading.fields["code"] = form
                return form
    for word in reading.words():
        if word in _TOO_COMMON or (word in SHARED and not reading.alibaba):
            continue
        if word in CODES or word in DENIALS or word.startswith("Throttling."):
            reading.fields.setdefault("code", word)
            return word
    return ""


# Words of ordinary sentences: codes only where they are labelled as such.
_TOO_COMMON = frozenset({"Inactive", "Forbidden", "Unauthorized", "InternalError", "ServiceUnavailable", "InvalidVersion",
                         "MethodNotAllowed", "TooManyRequests"})  # fmt: skip


def _cause_of(code: str) -> str:
    if code in CODES:
        return CODES[code]
    if code in DENIALS:
        return "access-denied"
    return next((cause for beginning, cause in PREFIXES if code.startswith(beginning)), "")


def _by_ec(reading: Reading, found: Found) -> None:
    found.cause = EC.get(reading.get("ec"), "")


def _by_sentence(reading: Reading, found: Found) -> None:
    for pattern, cause, needs in SAID_BY_SERVICES:
        if (reading.alibaba or not needs) and pattern.search(reading.text):
            denied = reading.decisive in DENIALS and cause == "permission-missing"
            found.cause = refusal(reading, found) if denied else cause
            return


def _by_code(reading: Reading, found: Found) -> None:
    code = reading.decisive
    if not code:
        return
    message = reading.get("message") or reading.text[:4_000]
    if code in DENIALS:
        found.cause = refusal(reading, found)
    elif code.startswith(("MissingParam", "InvalidParam")) and "SecurityToken" in message:
        found.cause = "credential-expired" if "Expired" in message else "security-token-missing"
    elif code == "InvalidArgument" and "Authorization header" in message:
        found.cause = "signature-malformed"
    else:
        found.cause = _cause_of(code)
    if code == "InvalidHttpTokens.NotSupported":
        found.notes.append("Windows instances cannot be set to security hardening mode only.")


def refusal(reading: Reading, found: Found) -> str:
    """Return why a service refused: AccessDeniedDetail says most, then OSS's number, then the words."""
    kind, policy = (
        reading.get("NoPermissionType"),
        reading.get("PolicyType") or reading.get("NoPermissionPolicyType"),
    )
    action = (reading.get("AuthAction") or reading.get("denied_action")).lower()
    message = reading.get("message") or reading.text[:4_000]
    if action == "ram:passrole":
        return "pass-role-missing"
    if "control" in policy.lower():
        return "control-policy"
    if policy == "SessionPolicy" or "authorizer's policy" in message:
        return "session-policy"
    if policy == "AssumeRolePolicy" or action == "sts:assumerole" or "assumed by root" in message:
        return "assume-role-refused"
    if kind == "ExplicitDeny" or reading.get("ec") == "0003-00000201":
        if "bucket policy" in message:
            found.notes.append("OSS says “by bucket policy” also where a RAM policy denies: look at both.")
        return "explicit-deny"
    if kind == "ImplicitDeny":
        return "permission-missing"
    if "Request has expired" in message:
        return "url-expired"
    if "bucket policy" in message:
        found.notes.append("OSS says “by bucket policy” also where a RAM policy denies: look at both.")
        return "explicit-deny"
    if "because of bucket acl" in message or reading.get("ec") == "0003-00000001":
        found.notes.append("A request without any credential to a private bucket gets the same answer.")
        return "permission-missing"
    if "belong to you" in message:
        return "acl-refuses"
    if "should be authorized by RAM" in message and not action:
        # STS's own words; RAM and ECS name the action.
        return "assume-role-refused"
    if (
        action
        or "Forbidden.RAM" in reading.codes
        or "not authorized to operate on the specified resource" in message
    ):
        return "permission-missing"
    return "access-denied"


def _by_metadata(reading: Reading, found: Found) -> None:
    text = reading.text
    page = _METADATA_PAGE.search(text)
    if not (page or (_METADATA.search(text) and reading.alibaba)):
        return
    if _PROXY.search(text):
        found.cause = "proxy-in-the-way"
        return
    status = int(page[1]) if page else reading.status
    if not status:
        if _TIMES_OUT.search(text) or _REFUSED.search(text):
            found.cause = "metadata-unreachable"
        elif re.search(r"role (?:name )?was not found in the instance", text, re.I):
            found.cause = "role-not-served"
        return
    if page and "100.100.100.200" not in text:
        found.notes.append("The page names no server; it has the form of the metadata service's.")
    if re.search(r"/api/token|get (?:the )?token|metadata token", text, re.I) and not page:
        found.cause = OF_TOKEN.get(status, "metadata-failed" if status >= 500 else "")
    elif status == 404:
        listing = re.search(
            r"get role name failed|security-credentials/?(?:[\s\"']|$)", text
        ) and not reading.get("role")
        found.cause = "no-role-attached" if listing else "role-not-served"
    elif status == 400 and page:
        found.cause = "metadata-token-ttl"
    else:
        found.cause = {401: "metadata-token-refused", 403: "hardened-only", 405: "metadata-token-method",
                       429: "metadata-throttled"}.get(status, "metadata-failed" if status >= 500 else "")  # fmt: skip


def _by_network(reading: Reading, found: Found) -> None:
    text, host = reading.text, reading.get("host")
    if (
        re.search(r"127\.0\.0\.1|localhost", text)
        and _REFUSED.search(text)
        and re.search(r"ramrole|sandbox", text)
    ):
        found.cause = "sandbox-not-running"
    if found.cause or not host.endswith("aliyuncs.com"):
        return
    oss = "oss" in host
    if _PROXY.search(text):
        found.cause = "proxy-in-the-way"
    elif _UNRESOLVED.search(text):
        found.cause = "name-unresolved"
    elif _CERTIFICATE.search(text):
        found.cause = "tls-failed"
    elif "IncompleteRead" in text or (oss and _BROKEN.search(text)):
        found.cause = "transfer-cut-off"
    elif _TIMES_OUT.search(text) or _REFUSED.search(text):
        if "-internal." in host:
            found.cause = "internal-endpoint-outside"
        elif _REFUSED.search(text):
            found.cause = "connection-refused"
        else:
            found.cause = "transfer-stalled" if oss and _READ.search(text) else "service-unreachable"
    if found.cause:
        found.facts["host"] = host


def _by_tool(reading: Reading, found: Found) -> None:
    for pattern, cause, needs in SAID_BY_TOOLS:
        if (reading.alibaba or not needs) and pattern.search(reading.text):
            found.cause = cause
            return


# -- facts -----------------------------------------------------------------------------------------------------

_BUCKET_HOST = re.compile(
    r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.(?:oss-[a-z0-9-]+|[a-z0-9-]+\.oss)\.aliyuncs\.com"
)
_REGION = re.compile(r"\b(?:oss-|ecs\.|ram\.|sts\.|ecs-)?([a-z]{2}-[a-z]{3,12}(?:-\d)?)(?:-internal)?\b")


def facts_of(reading: Reading) -> dict[str, str]:
    """Return what the text names that decides or that the next step needs, by our words."""
    facts: dict[str, str] = {}
    principal = re.fullmatch(
        r"([\w.-]{1,64}):vm-ram-(i-[a-z0-9]{10,24})", reading.get("AuthPrincipalDisplayName")
    )
    role, instance = reading.get("role"), reading.get("instance")
    if principal:
        role, instance = principal[1], principal[2]
    host = reading.get("host")
    in_host = _BUCKET_HOST.fullmatch(host)
    asked = host.removeprefix(f"{in_host[1]}.") if in_host else host
    endpoint = reading.get("endpoint")
    region = _REGION.search(endpoint or asked)
    facts["role"] = role
    facts["instance"] = instance
    facts["bucket"] = reading.get("bucket").rstrip("!.") or (in_host[1] if in_host else "")
    facts["object"] = reading.get("key") if facts["bucket"] else ""
    facts["endpoint asked"] = asked if asked.endswith("aliyuncs.com") and asked != endpoint else ""
    facts["right endpoint"] = endpoint
    facts["region"] = region[1] if region and (endpoint or asked).endswith("aliyuncs.com") else ""
    facts["missing permission"] = reading.get("denied_action") if not reading.get("AuthAction") else ""
    facts["on"] = reading.get("denied_resource") if facts["missing permission"] else ""
    apart = _apart(reading.get("request_time"), reading.get("server_time"))
    facts["clock"] = apart
    facts["expired"] = reading.get("expires")
    return facts


def _apart(mine: str, theirs: str) -> str:
    try:
        seconds = (datetime.fromisoformat(mine) - datetime.fromisoformat(theirs)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"this machine's is {abs(seconds):,.0f} s {'behind' if seconds < 0 else 'ahead of'} the service's"


_PRODUCTS = {"oss": "OSS", "ecs": "ECS", "ram": "RAM", "sts": "STS"}


def service_of(reading: Reading, found: Found) -> str:
    """Return which service answered, as people call it; empty where the text does not say."""
    product = reading.get("product")
    if product:
        return _PRODUCTS.get(product.lower(), product)
    if (
        CAUSES.get(found.cause)
        and CAUSES[found.cause].layer in ("metadata", "role")
        and not reading.get("request_id")
    ):
        return "instance metadata service"
    host = reading.get("host")
    first = re.search(r"(?:^|[./-])(oss|ecs|ram|sts)[.-]", host)
    if first and host.endswith("aliyuncs.com"):
        return _PRODUCTS[first[1]]
    if reading.get("ec") or re.search(
        r"\boss2\b|oss: service returned error|x-oss-|OSSAccessKeyId", reading.text
    ):
        return "OSS"
    return ""


def kind_of(reading: Reading) -> str:
    """Return what a text is, in a few words."""
    text = reading.text
    if not text.strip():
        return "nothing"
    for pattern, name in (
        (r"Traceback \(most recent call last\)", "Python traceback"),
        (r"^[*<>] .{0,80}(?:HTTP/|Connected to|Trying)", "output of curl -v"),
        (r"ERROR: SDK\.|SDK\.(?:Server|Client)Error", "output of the Alibaba Cloud CLI or Go SDK"),
        (r"oss2\.exceptions|'x-oss-request-id'", "error of the OSS SDK for Python"),
        (r"oss: service returned error", "error of the OSS SDK for Go"),
        (r"<Error>\s{0,20}<Code>", "XML error of OSS" if reading.alibaba else "XML error of an object store"),
        (r"(?i)<!doctype html|<html", "HTML page"),
        (r"^\s{0,20}[{\[]", "JSON"),
    ):
        if re.search(pattern, text, re.M):
            return name
    return "text"
