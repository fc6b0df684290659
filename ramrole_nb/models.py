"""The values that pass between the layers: frozen, comparable, and safe to print."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from .redact import Secret, mask_key_id, mask_secret, remember
from .render import html_card

__all__ = [
    "Attachment",
    "BucketInfo",
    "CallerIdentity",
    "Instance",
    "ItemResult",
    "ObjectInfo",
    "Policy",
    "Role",
    "StsCredentials",
    "parse_time",
]


def parse_time(text: str) -> datetime:
    """Parse the services' `2026-01-31T08:00:00Z` (with or without seconds or fraction) as UTC."""
    text = text.removesuffix("Z")
    if text.count(":") == 1:
        text += ":00"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Role:
    """A RAM role. `trust_policy` is JSON text; `max_session_duration` is in seconds."""

    name: str
    arn: str
    role_id: str = ""
    trust_policy: str = ""
    description: str = ""
    max_session_duration: int = 3600
    created: str = ""


@dataclass(frozen=True)
class Policy:
    """A permission policy; `type` is `System` or `Custom`; `document` is JSON text, empty when not read."""

    name: str
    type: str
    description: str = ""
    default_version: str = "v1"
    document: str = field(default="", repr=False)
    attachment_count: int = 0

    def _repr_html_(self) -> str:
        facts = [("type", self.type), ("version", self.default_version), ("description", self.description)]
        return html_card(f"Policy {self.name}", [*facts, ("document", self.document)])


@dataclass(frozen=True)
class Instance:
    """An ECS instance as DescribeInstances tells it. `http_tokens` is `optional` or `required`."""

    instance_id: str
    name: str = ""
    region_id: str = ""
    zone_id: str = ""
    status: str = ""
    os_type: str = "linux"
    network_type: str = "vpc"
    instance_type: str = ""
    private_ip: str = ""
    public_ip: str = ""
    http_tokens: str = "optional"
    http_endpoint: str = "enabled"


@dataclass(frozen=True)
class Attachment:
    """Which RAM role an instance has (`role_name` is empty: none)."""

    instance_id: str
    role_name: str = ""


@dataclass(frozen=True)
class ItemResult:
    """What became of one item of a batch. A failed one names its next step."""

    instance_id: str
    ok: bool
    code: str = ""
    message: str = ""
    request_id: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class BucketInfo:
    """An OSS bucket; `location` is OSS's region id (`oss-cn-beijing`), `region_id` the ECS one."""

    name: str
    region_id: str
    location: str = ""
    extranet_endpoint: str = ""
    intranet_endpoint: str = ""
    storage_class: str = "Standard"
    acl: str = "private"
    created: str = ""


@dataclass(frozen=True)
class ObjectInfo:
    """An object's metadata; `size` in bytes, `crc64` the decimal of x-oss-hash-crc64ecma (empty: not told)."""

    bucket: str
    key: str
    size: int
    etag: str = ""
    last_modified: str = ""
    content_type: str = ""
    storage_class: str = ""
    crc64: str = ""


@dataclass(frozen=True)
class CallerIdentity:
    """What sts:GetCallerIdentity answers; `type` is `Account`, `RAMUser` or `AssumedRoleUser`."""

    type: str
    arn: str
    account_id: str
    principal_id: str
    user_id: str = ""
    role_id: str = ""

    @property
    def name(self) -> str:
        """The user's name, or `role/session`."""
        tail = self.arn.rsplit(":", 1)[-1]
        return tail.split("/", 1)[1] if "/" in tail else tail

    def _repr_html_(self) -> str:
        return html_card(f"{self.type} {self.name}", [("ARN", self.arn), ("account", self.account_id)])


@dataclass(frozen=True, repr=False)
class StsCredentials:
    """One consistent temporary credential. It prints masked; the values are attributes."""

    access_key_id: str
    access_key_secret: str
    security_token: str
    expiration: datetime
    last_updated: datetime | None = None
    role_name: str = ""
    instance_id: str = ""
    mode: str = "security hardening"

    def __post_init__(self) -> None:
        remember(self.access_key_secret, self.security_token)
        # A value shown by itself, as a cell's last line or in a traceback's locals, is masked too.
        object.__setattr__(self, "access_key_secret", Secret(self.access_key_secret))
        object.__setattr__(self, "security_token", Secret(self.security_token))

    def seconds_left(self, now: datetime | None = None) -> float:
        """Return how many seconds the credential is still valid (negative: it has expired)."""
        return (self.expiration - (now or datetime.now(UTC))).total_seconds()

    def __repr__(self) -> str:
        return (
            f"StsCredentials(access_key_id={mask_key_id(self.access_key_id)!r}, "
            f"access_key_secret={mask_secret(self.access_key_secret)!r}, "
            f"security_token={mask_secret(self.security_token)!r}, "
            f"expiration={self.expiration:%Y-%m-%dT%H:%M:%SZ}, role_name={self.role_name!r}, "
            f"instance_id={self.instance_id!r}, mode={self.mode!r})"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        minutes = max(0.0, self.seconds_left()) / 60
        left = f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
        facts = [
            ("AccessKeyId", mask_key_id(self.access_key_id)),
            ("AccessKeySecret", mask_secret(self.access_key_secret)),
            ("SecurityToken", mask_secret(self.security_token)),
            ("Expiration", f"{self.expiration:%Y-%m-%d %H:%M:%S} UTC, in {left}"),
            ("role", self.role_name),
            ("fetched", f"on {self.instance_id}, in {self.mode} mode"),
        ]
        return html_card(
            "Temporary credential", facts, note="Masked here; a program reads the values as attributes."
        )

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("temporary credentials are not written to files: fetch them again instead")
