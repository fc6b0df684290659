"""Reads a pasted text: which fields an error of the services holds, however it was printed. No knowledge of causes.

Every step costs time in proportion to the text, and the text is cut to a size that no real error reaches, so that
hostile input gets its answer as quickly as any other: no XML or JSON parser runs, only bounded patterns.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["LONGEST", "Reading", "any_of", "read"]


def any_of(*patterns: str) -> re.Pattern[str]:
    """Return the pattern that finds any of these, in whatever case."""
    return re.compile("|".join(patterns), re.I)


# What is read of a text: a long log has its error at one of its ends.
LONGEST = 80_000
_TAIL = 30_000

_DETAIL = (
    "AuthAction", "AuthResource", "AuthPrincipalType", "AuthPrincipalOwnerId", "AuthPrincipalDisplayName",
    "PolicyType", "NoPermissionPolicyType", "NoPermissionType", "EncodedDiagnosticMessage",
)  # fmt: skip

# Our name of a field -> how services, SDKs and programs write it (compared without case, space, - and _).
_NAMES: dict[str, tuple[str, ...]] = {
    "code": ("code", "errorcode"),
    "message": ("message", "errormessage", "msg"),
    "request_id": ("requestid", "xossrequestid", "xacsrequestid"),
    "status": ("status", "statuscode", "httpstatus", "httpstatuscode", "httpcode"),
    "ec": ("ec", "xossec"),
    "host": ("hostid", "host"),
    "bucket": ("bucketname", "bucket"),
    "key": ("key",),
    "endpoint": ("endpoint",),
    "request_time": ("requesttime",),
    "server_time": ("servertime",),
    "expires": ("expires",),
    "action": ("action", "xacsaction"),
    "role": ("ramrolename", "rolename"),
    "instance": ("instanceid",),
    "recommend": ("recommend", "recommenddoc"),
    **{name: (name.lower(),) for name in _DETAIL},
}
_CANONICAL = {written: name for name, forms in _NAMES.items() for written in forms}

_LABEL = (
    r"error[ _]?code|code|x-oss-request-id|x-acs-request-id|request[ _-]?id"
    r"|http[ _]?status(?:[ _]?code)?|status[ _]?code|http[ _]?code|status|x-oss-ec|ec|host[ _]?id|host"
    r"|bucket[ _]?name|bucket|key|endpoint|request[ _]?time|server[ _]?time|expires|x-acs-action|action"
    r"|ram[ _]?role[ _]?name|role[ _]?name|instance[ _]?id|recommend(?:doc)?|" + "|".join(_DETAIL)
)
# name: value, name=value, "name": "value", 'name' => "value", [name]: value, ["name"]=> string(3) "value"
_BETWEEN = (
    r"[\"'\]]{0,2}[ \t]{0,4}(?:=>|[:=])[ \t]{0,8}(?:\n[ \t]{0,8}(?=[\"']|string\())?"
    r"(?:string\(\d{1,6}\)[ \t]{0,8})?\[?[ ]?(?:b(?=[\"']))?(?:\"([^\"\n]{0,3000})\"|'([^'\n]{0,3000})'"
)
_KEYED = re.compile(rf"(?<![\w.-])({_LABEL}){_BETWEEN}|([^\s,;\"'(){{}}\[\]<>]{{1,600}}))", re.I)
_MESSAGE = re.compile(
    rf"(?<![\w.-])(error[ _]?message|message|msg){_BETWEEN}|([^\s\"'{{}}\[\]<>][^\n{{}}<>]{{0,600}}))", re.I
)
_REQUEST_ID_AFTER = re.compile(r", ?Request ?Id[=:]|\[Request ?Id\]| Request ?Id ?:|`$", re.I)
_ELEMENT = re.compile(r"<([A-Za-z][A-Za-z0-9]{1,40})>([^<>]{0,4000})</")
_XML_IN_BASE64 = re.compile(r"(?:PD94bWwg|PEVycm9y)[A-Za-z0-9+/\r\n]{20,20000}={0,2}")
_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]")
_CODE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{1,60}(?:\.[A-Za-z0-9]{1,60}){0,4}")
_WORD_IN_TEXT = re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Za-z]{2,60}(?:\.[A-Z][A-Za-z]{1,60}){0,4}")
_NOTHING = frozenset({"none", "null", "undefined", "nil", "true", "false", "error", "success", "ok"})

# Something of Alibaba Cloud's: without any, a code that other clouds share means nothing.
_FIRMLY = re.compile(
    r"aliyuncs\.com|AliyunOSS|aliyun\.com/|alibabacloud\.com|x-oss-|x-acs-|<EC>\d{4}-\d{8}|\bacs:(?:ram|oss|ecs|sts):"
    r"|100\.100\.100\.200|SDK\.ServerError|oss: service returned error|\boss2\.",
    re.I,
)
_ALIBABA = any_of(
    r"aliyun|alibaba|alicloud|\boss2\b|SDK\.ClientError|OSSAccessKeyId|The OSS Access Key|ECS metadata service",
    r"ecs_?ram_?role|ECS RAM role|\bTea(?:Exception|Unretryable)|darabonba|ramrole_nb|LTAI[0-9A-Za-z]{8}",
    r"\bossutil\b|\bali-oss\b|\bapsara::|because of bucket acl",
)
_OTHER_CLOUD = any_of(
    r"amazonaws|arn:aws|\bboto|aws-sdk|@aws-sdk|\bAWS\b|x-amz-|Amazon\.|169\.254\.169\.254|metadata\.google",
    r"huaweicloud|ObsException|myqcloud|tencentcloud|\bcos\.|core\.windows\.net|azure|googleapis|\bgcloud\b",
    r"minio|volces|bcebos",
)


@dataclass
class Reading:
    """What was read of a text. `text` is the text as searched: never shown, it may hold secrets."""

    text: str
    fields: dict[str, str] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)  # every labelled one, in order
    decisive: str = ""  # the code that decides, set by `deciding`
    alibaba: bool = False  # something of Alibaba Cloud's is in it
    cut: bool = False
    first_line: str = ""

    def get(self, name: str) -> str:
        """Return a field, or an empty string."""
        return self.fields.get(name, "")

    @property
    def status(self) -> int:
        """The HTTP status, 0 where none was read."""
        found = re.match(r"\s{0,4}([1-5]\d\d)\b", self.get("status"))
        return int(found[1]) if found else 0

    def words(self) -> Iterator[str]:
        """Yield what looks like a code anywhere in the text, without an SDK's `Error` or `Exception` at its end."""
        seen = set()
        for found in _WORD_IN_TEXT.finditer(self.text):
            for word in (
                found[0],
                re.sub(r"(?:Error|Exception)$", "", found[0]),
                found[0].rsplit(".", 1)[-1],
            ):
                if word not in seen:
                    seen.add(word)
                    yield word


def read(given: str | bytes) -> Reading:
    """Return what a text says. Never raises."""
    raw = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
    cut = len(raw) > LONGEST
    if cut:
        raw = raw[: LONGEST - _TAIL] + "\n" + raw[-_TAIL:]
    raw = raw.encode("utf-8", "replace").decode()  # half characters could not be printed
    raw = _COLOURS.sub("", raw).replace("\x00", "").replace("\r\n", "\n")
    first = next((line.strip() for line in raw[:4_000].split("\n") if line.strip()), "")
    text = _plain(raw)
    reading = Reading(text, cut=cut, first_line=first)
    _read_fields(reading)
    firmly = bool(_FIRMLY.search(text))
    other = bool(_OTHER_CLOUD.search(text))
    # S3's request ids have 16 characters, OBS's 32.
    oss_id = re.fullmatch(r"[0-9A-F]{24}", reading.get("request_id")) is not None
    some = oss_id or _ALIBABA.search(text) is not None
    reading.alibaba = firmly or (some and not other)
    return reading


def _plain(text: str) -> str:
    """Undo what programs do to a text when they print it: backslashes, HTML entities, base64 around XML."""
    hidden = [
        text[found.start() : found.end()].translate({10: None, 13: None})
        for found in _XML_IN_BASE64.finditer(text)
    ][:4]
    for _ in range(2):
        if '\\"' in text or "\\n" in text or "\\/" in text or "\\u00" in text:
            text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
            text = text.replace("\\r", "").replace("\\n", "\n").replace('\\"', '"').replace("\\/", "/")
        if "<Code>" not in text and any(mark in text for mark in ("&lt;", "&quot;", "&#")):
            text = html.unescape(text)
    for coded in hidden:
        try:
            text += "\n" + base64.b64decode(coded[: len(coded) // 4 * 4]).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            continue
    return text


def _read_fields(reading: Reading) -> None:
    text, fields = reading.text, reading.fields

    def keep(name: str, value: str) -> None:
        value = value.strip().strip(",;").strip()
        if not value or (name != "message" and value.lower() in _NOTHING):
            return
        if name == "status" and not re.match(r"[1-5]\d\d\b", value):
            return
        if name == "code":
            word = _CODE_WORD.match(value)
            if value.isdigit():
                keep("status", value)
                return
            if word and (word.end() == len(value) or value[word.end()] in " ,;)]}"):
                value = word[0]
                reading.codes.append(value)
            else:
                return  # a sentence, not a code
        fields.setdefault(name, value)

    for found in _ELEMENT.finditer(text):
        name = _CANONICAL.get(found[1].lower())
        if name:
            keep(name, html.unescape(found[2]))
    for found in re.finditer(r"\bError: ?([A-Z][\w.]{2,80}) (?:code: (\d{3}), )?([^\n]{0,600})", text):
        # Tea's `Error: CODE code: 404, message request id: …` and the older core's `Error:CODE message RequestID: …`
        before_id = re.split(r" ?request ?id: ?", found[3], maxsplit=1, flags=re.I)
        if (found[2] or len(before_id) > 1) and re.search(r"[a-z][A-Z]|\.", found[1]):
            keep("code", found[1])
            keep("status", found[2] or "")
            keep("message", before_id[0])
    answer = re.search(r"\banswer: ([A-Z][\w.]{2,80}) \(HTTP (\d{3})\)(?:, EC (\d{4}-\d{8}))?", text)
    if answer:  # our own errors
        keep("code", answer[1])
        keep("status", answer[2])
        keep("ec", answer[3] or "")
    for found in _MESSAGE.finditer(text):
        said = found[2] or found[3] or found[4] or ""
        if found[4]:
            said = _REQUEST_ID_AFTER.split(said, maxsplit=1)[0]
        keep("message", said)
    for found in _KEYED.finditer(text):
        keep(_CANONICAL[re.sub(r"[ _-]", "", found[1].lower())], found[2] or found[3] or found[4] or "")
    _read_shapes(fields, text)


# What has a shape of its own, wherever it stands.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ec", re.compile(r"(?:q=|\bEc?=|\bEC )(\d{4}-\d{8})\b")),
    ("status", re.compile(r"HTTP/[\d.]{1,3} ([1-5]\d\d)\b")),
    ("status", re.compile(r"<title>([1-5]\d\d) - [A-Z]")),
    ("status", re.compile(r"(?:StatusCodeError|failed|GET [^\s]{1,200}|httpStatus|status):? ([1-5]\d\d)\b")),
    ("status", re.compile(r"\(HTTP ([1-5]\d\d)\)|\bHTTP ([1-5]\d\d)\b")),
    ("denied_action", re.compile(r"\bAction: ([a-z]{2,12}:[A-Za-z]{2,60})")),
    ("denied_resource", re.compile(r"\bResource: (acs:[A-Za-z0-9:*/._-]{1,200})")),
    ("operation", re.compile(r"(?:Resource alicloud_\w{1,60} |[?&]Action=|x-acs-action: ?)([A-Z][A-Za-z]{3,60})\b")),
    ("operation", re.compile(r"\baliyun (?:ecs|ram|sts|cr|oss) ([A-Za-z]{2,60})\b")),
    ("product", re.compile(r"[?&]product=([A-Za-z]{2,20})\b")),
    ("role", re.compile(r"security-credentials/([A-Za-z0-9._-]{1,64})")),
    ("role", re.compile(r"\bacs:ram:[^:\s]{0,20}:[^:\s]{0,20}:(?:assumed-)?role/([A-Za-z0-9._-]{1,64})")),
    ("instance", re.compile(r"\b(i-[a-z0-9]{10,24})\b")),
    ("instances_host", re.compile(r"(100\.100\.100\.200)")),
    ("host", re.compile(r"(?<![a-z0-9.-])([a-z0-9][a-z0-9.-]{1,200}\.aliyuncs\.com)\b")),
)  # fmt: skip


def _read_shapes(fields: dict[str, str], text: str) -> None:
    for name, pattern in _SHAPES:
        if name in fields:
            continue
        found = pattern.search(text)
        if found:
            fields[name] = next(group for group in found.groups() if group)
