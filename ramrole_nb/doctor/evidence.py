"""What a diagnosis has seen: plain values, and nothing secret among them, so they can be shown, stored and judged later.

`looking` and the `probes_…` gather them (the only parts of the doctor that do I/O); `checks` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import MetadataUnreachable, RamroleError, ServiceError
from ..policy import NamedDocument
from ..redact import redact
from .decode import explain
from .surroundings import Surroundings

__all__ = ["Answer", "Asked", "Evidence", "answered"]


@dataclass(frozen=True)
class Asked:
    """What is diagnosed, in the caller's words. `key` ends in a slash or is empty: a listing."""

    instance: str = ""
    bucket: str = ""
    key: str = ""
    role: str = ""
    endpoint: str = ""
    signature: str = "V4"

    @property
    def lists(self) -> bool:
        """Whether the object that was asked for is a folder or a whole bucket."""
        return not self.key or self.key.endswith("/")


@dataclass(frozen=True)
class Answer:
    """How a look ended. `cause`: what the decoder makes of a refusal (empty: nothing); `silent`: nobody answered."""

    ok: bool
    said: str = ""
    cause: str = ""
    code: str = ""
    status: int = 0
    ec: str = ""
    request_id: str = ""
    message: str = ""
    endpoint: str = ""
    denied: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass
class Evidence:
    """What was seen. A field that is None was not looked at."""

    asked: Asked = field(default_factory=Asked)
    around: Surroundings = field(default_factory=Surroundings)
    direct: bool = False  # the session uses this machine's own network, so its variables count
    default_chain: bool = False  # the session signs with the SDKs' default chain
    here: bool = False  # the instance meant is the machine this runs on
    their_provider: str = ""  # the class of the provider that was handed in

    session: Answer | None = None
    account: str = ""
    instance: Answer | None = None
    instance_id: str = ""
    region: str = ""
    status: str = ""
    network: str = ""
    http_tokens: str = ""
    http_endpoint: str = ""
    os_type: str = ""
    agent: str = ""
    attached: str | None = None  # by ECS; empty: none
    attached_now: float | None = None  # seconds since this session attached a role there

    metadata: Answer | None = None
    token_status: int = 0
    own_id: str = ""
    listing: Answer | None = None
    listed: str = ""
    credential: Answer | None = None
    credential_key: str = ""
    seconds_left: float | None = None
    held_key: str = ""
    held_role: str = ""

    role: Answer | None = None
    role_name: str = ""
    role_id: str = ""
    trusts_ecs: bool | None = None
    role_names: tuple[str, ...] = ()
    may_attach: dict[str, str] = field(default_factory=dict)

    identity: Answer | None = None
    identity_arn: str = ""
    identity_role_id: str = ""
    held_identity: Answer | None = None
    held_role_id: str = ""

    buckets: tuple[str, ...] | None = None
    bucket_region: str = ""
    endpoint: str = ""
    object: Answer | None = None
    size: int | None = None
    signer: str = ""
    keys: tuple[str, ...] = ()

    documents: tuple[NamedDocument, ...] | None = None
    unread: tuple[str, ...] = ()
    bucket_policy: NamedDocument | None = None
    acl: str = ""
    principal: str = ""
    principal_ids: tuple[str, ...] = ()
    secure: bool = True

    late: list[str] = field(default_factory=list)  # probes that did not end in time


def answered(error: RamroleError) -> Answer:
    """Return what an error says, with the decoder's cause."""
    told = explain(error)
    endpoint = ""
    denied: dict[str, str] = {}
    if isinstance(error, ServiceError):
        denied = {
            k: redact(v) for k, v in error.access_denied_detail.items() if k != "EncodedDiagnosticMessage"
        }
        endpoint = denied.pop("Endpoint", "")
    silent = (isinstance(error, ServiceError) and error.status == 0 and not error.code) or (
        isinstance(error, MetadataUnreachable)
    )
    return Answer(
        False,
        redact(" ".join(part for part in (error.what, error.reason) if part)),
        told.cause if told.known else "",
        getattr(error, "code", ""),
        getattr(error, "status", 0),
        getattr(error, "ec", ""),
        getattr(error, "request_id", ""),
        redact(getattr(error, "message", "")),
        endpoint,
        denied,
        silent,
    )
