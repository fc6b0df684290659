"""Looking, and nothing else: the probes of a diagnosis, from the outside in. The only part of the doctor that does I/O.

Each probe is a small function with a budget of its own; it returns what it saw, and what comes too late is not used. No
probe changes anything. What is kept is masked: the evidence holds no secret, so it can be shown, stored and judged later.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..cloud.calls import Calls, checking
from ..cloud.context import Context
from ..cloud.credentials import StaticCredentials, provider_for
from ..cloud.instances import BoundInstance, Instances
from ..cloud.live import LiveCredentials
from ..cloud.looks import first_byte, first_keys, oss_at
from ..cloud.metadata import HARDENED, NORMAL, MetadataClient
from ..cloud.objects import Buckets
from ..cloud.preflight import Need, Preflight
from ..cloud.roles import Roles
from ..errors import (
    InputError,
    MetadataError,
    MetadataUnreachable,
    NoRoleAttached,
    NotFound,
    RamroleError,
    ServiceError,
    WrongRoleName,
)
from ..models import StsCredentials
from ..policy import MalformedPolicyDocument, NamedDocument, parse_policy
from ..redact import mask_key_id, redact
from .decode import explain
from .findings import Probe
from .surroundings import Surroundings, look_around

__all__ = ["PROBES", "Answer", "Asked", "Evidence", "Look", "Step", "answered"]

# Milliseconds for connecting and for each answer: below the sessions', so that a diagnosis ends while one waits for it.
_TIMEOUTS_MS = (1_500, 2_500)
_METADATA_SECONDS = 1.2
_OSS_SECONDS = (1.5, 2.5)
# How long after an attachment of ours a missing role is put down to the cloud's delay.
_SETTLING_SECONDS = 60.0
_MOST_KEYS = 1_000


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


class Look:
    """One diagnosis' looking: the session, what is asked, what was seen so far, and the clock."""

    def __init__(
        self,
        context: Context,
        asked: Asked,
        *,
        vm: BoundInstance | None = None,
        provider: Any = None,
        python: str = "",
        front_end: str = "",
    ) -> None:
        self._full = context
        endpoints = context.endpoints
        calls = context.calls
        short = Calls(endpoints, calls.region_id, calls.provider, context.wire, calls.caller, _TIMEOUTS_MS)
        self.context = replace(context, calls=short, _preflight=None)
        self.vm = vm
        self.provider = provider
        self.python, self.front_end = python, front_end
        self.seen = Evidence(asked)
        self.seen.direct = not endpoints.proxy
        chain = calls.provider
        self.seen.default_chain = isinstance(chain, LiveCredentials) and chain.is_default
        self.seen.their_provider = (
            f"{type(provider).__module__}.{type(provider).__qualname__}" if provider else ""
        )
        self.seen.secure = endpoints.scheme == "https"
        # The machine itself is meant where no instance is named and the metadata service may be asked.
        self.seen.here = endpoints.metadata_direct and not asked.instance and vm is None
        if vm is not None:
            self.seen.instance_id, self.seen.region = vm.instance_id, vm.region_id
        elif asked.instance in endpoints.instance_proxies or (
            endpoints.metadata_direct and re.fullmatch(r"i-[A-Za-z0-9]{4,64}", asked.instance)
        ):
            self.seen.instance_id = asked.instance
        self.fetched: StsCredentials | None = None
        self.held: StsCredentials | None = None

    def run(self, step: Step, seconds: float) -> Probe:
        """Run one step within its budget; what comes later is dropped."""
        started = time.perf_counter()
        if reason := step.skip(self):
            return Probe(step.name, "skipped", reason)
        if seconds <= 0.05:
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", "no time was left")
        box: list[Any] = []

        def work() -> None:
            try:
                with checking():
                    box.append(step.look(self))
            except RamroleError as error:
                box.append(error)
            except Exception as error:  # noqa: BLE001 - a probe that fails is a fact, not an end
                box.append(RamroleError(f"{type(error).__name__}: {redact(error)}"))

        here = contextvars.copy_context()
        thread = threading.Thread(target=here.run, args=(work,), name="ramrole-doctor", daemon=True)
        thread.start()
        thread.join(seconds)
        ms = (time.perf_counter() - started) * 1000
        if not box:
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", f"no answer within {seconds:.1f} s", ms)
        told = box[0]
        if isinstance(told, RamroleError):
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", redact(told.what), ms)
        state, saw, fields = told
        for name, value in fields.items():
            setattr(self if name in ("fetched", "held", "vm") else self.seen, name, value)
        return Probe(step.name, state, redact(saw), ms)


Told = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """One probe: its name, its budget in seconds, why it is left out (empty: it is not), and the look itself."""

    name: str
    seconds: float
    skip: Callable[[Look], str]
    look: Callable[[Look], Told]


def _always(_: Look) -> str:
    return ""


def _state(answer: Answer) -> str:
    return "ok" if answer.ok else "unknown" if answer.silent and not answer.cause else "bad"


# -- this machine ----------------------------------------------------------------------------------------------


def _machine(look: Look) -> Told:
    around = look_around(look.python, look.front_end)
    seen = look.seen
    parts = [f"Python {around.python}" if around.python else f"{look.python} gave no answer"]
    parts += [f"{name} {version}" for name, version in around.packages.items() if version]
    if around.cli:
        parts.append(f"CLI {around.cli}")
    if around.proxies:
        parts.append(
            f"{', '.join(around.proxies)} set" + ("" if seen.direct else " (this session does not use it)")
        )
    if around.static_key:
        parts.append(
            f"AccessKey from {around.static_key}"
            + ("" if seen.default_chain else " (not used by this session)")
        )
    if around.container:
        parts.append("in a container")
    return "ok", ", ".join(parts), {"around": around}


# -- the account's side ------------------------------------------------------------------------------------------


def _session(look: Look) -> Told:
    calls = look.context.calls
    try:
        who = Preflight(calls).identity()
    except RamroleError as error:
        answer = answered(error)
        return _state(answer), answer.said, {"session": answer}
    return (
        "ok",
        f"{calls.caller}: {who.type} {who.name}",
        {"session": Answer(True), "account": who.account_id},
    )


def _no_session(look: Look) -> str:
    session = look.seen.session
    if session is None:
        return "the session was not looked at"
    return "" if session.ok else "the session's own calls fail"


def _no_instance(look: Look) -> str:
    if look.vm is None and not look.seen.asked.instance:
        return (
            "no instance was named"
            if not look.seen.here
            else "the metadata service will say which one this is"
        )
    return _no_session(look)


def _instance(look: Look) -> Told:
    seen, context = look.seen, look.context
    wanted = look.vm.instance_id if look.vm is not None else seen.asked.instance
    try:
        vm = Instances(context)[wanted]
    except RamroleError as error:
        answer = answered(error)
        if isinstance(error, NotFound) and not error.reason:
            answer = replace(answer, cause="instance-not-found")
            return "bad", answer.said, {"instance": answer}
        if isinstance(
            error, NotFound
        ):  # it sees none at all, as where it may not look: that says nothing of this one
            answer = replace(answer, cause="")
        return "unknown", answer.said, {"instance": answer}
    fields: dict[str, Any] = {
        "vm": vm, "instance": Answer(True), "instance_id": vm.instance_id, "region": vm.region_id, "status": vm.status,
        "network": vm.network_type, "http_tokens": vm.http_tokens, "http_endpoint": vm.http_endpoint,
        "os_type": vm.os_type,
    }  # fmt: skip
    saw = f"{vm.name or vm.instance_id} in {vm.region_id}, {vm.status}, {vm.network_type}, HttpTokens={vm.http_tokens}"
    try:
        fields["attached"] = vm.role_name
        saw += f", role: {fields['attached'] or 'none'}"
    except RamroleError as error:
        saw += f", role not readable ({error.what})"
    fields["attached_now"] = _since_attached(look, vm.instance_id)
    if vm.http_tokens == "required":
        fields["agent"] = _agent(context, vm)
    return "ok", saw, fields


def _agent(context: Context, vm: BoundInstance) -> str:
    try:
        found = context.calls.ecs("DescribeCloudAssistantStatus", vm.region_id, instance_id=[vm.instance_id])
        rows = found["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
        return str(rows[0].get("CloudAssistantVersion", "")) if rows else ""
    except (RamroleError, KeyError, TypeError):
        return ""


def _since_attached(look: Look, instance_id: str) -> float | None:
    """Return how many seconds ago this session attached a role to the instance, if that was its last change there."""
    for call in reversed(look.context.wire.since()):
        if call.action in ("AttachInstanceRamRole", "DetachInstanceRamRole") and call.status == 200:
            if instance_id not in str(call.params.get("instance_ids", "")):
                continue
            ago = time.time() - call.time
            return ago if call.action.startswith("Attach") and ago < _SETTLING_SECONDS else None
    return None


# -- the metadata service ----------------------------------------------------------------------------------------


def _client(look: Look) -> MetadataClient:
    instance_id = look.seen.instance_id
    # No id where 100.100.100.200 itself is asked: which machine answers is what is to be found out.
    proxy = look.context.endpoints.metadata_proxy(instance_id)
    return MetadataClient(proxy, instance_id=instance_id if proxy else "", timeout=_METADATA_SECONDS)


def _no_metadata(look: Look) -> str:
    seen = look.seen
    if seen.instance is not None and not seen.instance.ok and seen.instance.cause == "instance-not-found":
        return "there is no such instance"
    if not seen.instance_id and not seen.here:
        return "no instance was named" if not seen.asked.instance else "the instance's id is not known"
    try:
        look.context.endpoints.metadata_proxy(seen.instance_id)
    except InputError:
        return "it answers on the instance itself only"
    return ""


def _metadata(look: Look) -> Told:
    client = _client(look)
    fields: dict[str, Any] = {}
    status = 0
    try:
        status, token = client.request(
            "PUT", "/latest/api/token", {"X-aliyun-ecs-metadata-token-ttl-seconds": "300"}, secret_answer=True
        )
        held = {"X-aliyun-ecs-metadata-token": token} if status == 200 else {}
        own_status, own = client.request("GET", "/latest/meta-data/instance-id", held)
    except MetadataUnreachable as error:
        answer = replace(answered(error), cause="metadata-unreachable", silent=True)
        return "bad", answer.said, {"metadata": answer, "token_status": status}
    fields |= {
        "metadata": Answer(True),
        "token_status": status,
        "own_id": own.strip() if own_status == 200 else "",
    }
    try:
        listed = client.role_name(token if status == 200 else "")
    except MetadataError as error:
        answer = answered(error)
        if isinstance(error, NoRoleAttached):
            answer = replace(answer, cause="no-role-attached")
        said = f"token: HTTP {status}; {answer.said}"
        return "bad", said, fields | {"listing": answer, **_held(look)}
    fields |= {"listing": Answer(True), "listed": listed, **_held(look)}
    if fields["own_id"] and not look.seen.instance_id:
        fields["instance_id"] = fields["own_id"]
    try:
        fetched = client.credentials(listed, mode=HARDENED if status == 200 else NORMAL)
    except MetadataError as error:
        answer = answered(error)
        if isinstance(error, WrongRoleName):  # it lists a role that it does not serve
            answer = replace(
                answer, cause="role-deleted", said=f"{listed} is listed, and its credential is not there"
            )
        elif error.status == 200:
            answer = replace(
                answer, cause="trust-without-ecs" if "AssumeRole" in error.what else "metadata-failed"
            )
        return "bad", f"token: HTTP {status}; role {listed}; {answer.said}", fields | {"credential": answer}
    left = fetched.seconds_left()
    fields |= {"credential": Answer(True), "fetched": fetched, "seconds_left": left}
    fields["credential_key"] = mask_key_id(fetched.access_key_id)
    saw = f"token: HTTP {status}; role {listed}; credential {fields['credential_key']}, {left / 60:.0f} minutes left"
    return ("ok" if status == 200 and left > 0 else "bad"), saw, fields


def _held(look: Look) -> dict[str, Any]:
    """Return what this process' provider of the instance holds; nothing is fetched."""
    vm = look.vm
    if vm is None:
        return {}
    held = provider_for(lambda: vm.metadata, vm.provider_key(), label=vm.instance_id).held
    if held is None:
        return {}
    return {"held": held, "held_key": mask_key_id(held.access_key_id), "held_role": held.role_name}


# -- the role ------------------------------------------------------------------------------------------------------


def _no_role(look: Look) -> str:
    seen = look.seen
    if not (seen.listed or seen.attached or seen.asked.role):
        return "no role is known"
    return _no_session(look)


def _role(look: Look) -> Told:
    seen = look.seen
    name = seen.listed or seen.attached or seen.asked.role
    roles = Roles(look.context)
    fields: dict[str, Any] = {"role_name": name}
    try:
        role = roles.get(name)
        if role is None or (seen.asked.role and seen.asked.role != name):
            fields["role_names"] = tuple(sorted(known.name for known in roles))
        if role is None:
            missing = Answer(False, f"RAM has no role {name}", "role-not-found", status=404)
            return "bad", missing.said, fields | {"role": missing}
        trusts = role.trusts_ecs
    except RamroleError as error:
        answer = answered(error)
        return _state(answer), answer.said, fields | {"role": answer}
    fields |= {"role": Answer(True), "role_id": role.role_id, "trusts_ecs": trusts}
    fields |= _may_attach(look, role.name)
    told = "trusts ECS" if trusts else "does not trust ECS"
    missing_now = [action for action, mark in fields.get("may_attach", {}).items() if mark.startswith("✕")]
    lacks = f"; the caller lacks {', '.join(missing_now)}" if missing_now else ""
    return ("ok" if trusts and not lacks else "bad"), f"{name} {told}{lacks}", fields


def _may_attach(look: Look, role: str) -> dict[str, Any]:
    """Tell whether the session's caller may attach the role that was asked for, where none is attached."""
    seen = look.seen
    if not seen.asked.role or seen.listed or seen.attached or not seen.instance_id:
        return {}
    preflight = Preflight(look.context.calls)
    account = preflight.account_id
    needs = (
        Need("ram:PassRole", f"acs:ram:*:{account}:role/{role}", (("acs:Service", "ecs.aliyuncs.com"),)),
        Need("ecs:AttachInstanceRamRole", f"acs:ecs:{seen.region}:{account}:instance/{seen.instance_id}"),
    )
    return {"may_attach": {need.action: preflight.tell(need)[0] for need in needs}}


# -- who the credential is -----------------------------------------------------------------------------------------


class _Theirs:
    """A provider of somebody's program (oss2's or the SDK's), as one consistent triple."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def get_credentials(self) -> Any:
        get = getattr(self._provider, "get_credentials", None) or self._provider.get_credential
        found = get()
        read = [getattr(found, f"get_{name}", None) for name in _PARTS]
        values = [
            getter() if getter is not None else getattr(found, name)
            for name, getter in zip(_PARTS, read, strict=True)
        ]
        return StaticCredentials(values[0], values[1], values[2] or "").get_credentials()

    async def get_credentials_async(self) -> Any:
        return self.get_credentials()

    def get_provider_name(self) -> str:
        return "static_sts"


_PARTS = ("access_key_id", "access_key_secret", "security_token")


def _as_provider(credential: StsCredentials) -> StaticCredentials:
    return StaticCredentials(
        credential.access_key_id, credential.access_key_secret, credential.security_token
    )


def _signer(look: Look) -> tuple[Any, str]:
    """Return whose credential the program would sign with, and its name; None: there is none."""
    if look.provider is not None:
        return _Theirs(look.provider), look.seen.their_provider
    fetched, held = look.fetched, look.held
    if fetched is not None:
        stale = held is not None and held.access_key_id != fetched.access_key_id
        credential = held if stale and held is not None and held.seconds_left() > 0 else fetched
        return _as_provider(credential), f"the role {credential.role_name}"
    if look.seen.asked.instance or look.vm is not None or (look.seen.here and not look.seen.asked.bucket):
        return None, ""
    return look.context.calls.provider, look.context.calls.caller


def _no_identity(look: Look) -> str:
    return "" if look.fetched is not None or look.provider is not None else "there is no credential of a role"


def _identity(look: Look) -> Told:
    fetched, held = look.fetched, look.held
    fields: dict[str, Any] = {}
    mine = _Theirs(look.provider) if look.provider is not None else _as_provider(fetched) if fetched else None
    answer, arn, role_id = _who(look, mine)
    fields |= {"identity": answer, "identity_arn": arn, "identity_role_id": role_id}
    saw = arn.rpartition(":")[2] or answer.said
    if held is not None and fetched is not None and held.access_key_id != fetched.access_key_id:
        fields["held_identity"], held_arn, fields["held_role_id"] = _who(look, _as_provider(held))
        saw += f"; this process holds {fields.get('held_key') or mask_key_id(held.access_key_id)}"
        saw += (
            f" of {held_arn.rpartition(':')[2]}" if held_arn else f", refused: {fields['held_identity'].code}"
        )
    return _state(answer), saw, fields


def _who(look: Look, provider: Any) -> tuple[Answer, str, str]:
    context = look.context
    calls = Calls(
        context.endpoints,
        look.seen.region or context.region_id,
        provider,
        context.wire,
        "the role",
        _TIMEOUTS_MS,
    )
    try:
        who = Preflight(calls).identity()
    except RamroleError as error:
        return answered(error), "", ""
    return Answer(True), who.arn, who.role_id


# -- bucket and object ---------------------------------------------------------------------------------------------


def _no_bucket(look: Look) -> str:
    if not look.seen.asked.bucket:
        return "no object was named"
    return _no_session(look)


def _bucket(look: Look) -> Told:
    asked = look.seen.asked
    try:
        found = {info.name: info for info in Buckets(look.context).all()}
    except RamroleError as error:
        # No right to list buckets is common; the object call will say where the bucket is.
        return "unknown", f"buckets are not listed to the caller: {answered(error).said}", {}
    fields: dict[str, Any] = {"buckets": tuple(sorted(found))}
    if asked.bucket not in found:
        return "bad", f"{asked.bucket} is not among the account's buckets", fields
    region = found[asked.bucket].region_id
    return "ok", f"{asked.bucket} in {region}", fields | {"bucket_region": region}


_ENDPOINT = re.compile(r"oss-(?P<region>[a-z]+-[a-z0-9-]+?)(?P<internal>-internal)?\.aliyuncs\.com")


def _no_object(look: Look) -> str:
    asked = look.seen.asked
    if not asked.bucket:
        return "no object was named"
    if asked.key.startswith(("/", "\\")) or not _BUCKET.fullmatch(asked.bucket):
        return "the name cannot be one"
    return "" if _signer(look)[0] is not None else "there is no credential to ask with"


_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def _object(look: Look) -> Told:
    seen, context = look.seen, look.context
    asked, endpoints = seen.asked, context.endpoints
    provider, signer = _signer(look)
    region = seen.bucket_region or seen.region or context.region_id
    proxy = ""
    if seen.instance_id and look.fetched is not None:
        proxy = endpoints.metadata_proxy(seen.instance_id)
    internal = bool(seen.instance_id) and look.fetched is not None and _own_region(look) == region
    url = endpoints.oss(region, internal=internal)
    if asked.endpoint:
        scheme, _, host = asked.endpoint.rpartition("://")
        host = host.strip("/").removeprefix(f"{asked.bucket}.")
        url = f"{scheme or endpoints.scheme}://{host}"
        named = _ENDPOINT.fullmatch(host)
        region = named["region"] if named else region

    def ask(url: str, region: str) -> tuple[Answer, dict[str, Any]]:
        bucket = oss_at(
            endpoints, url, asked.bucket, provider,
            region_id=region, signature=asked.signature, proxy=proxy, timeout=_OSS_SECONDS,
        )  # fmt: skip
        calls = Calls(endpoints, region, provider, context.wire, signer, _TIMEOUTS_MS)
        try:
            if asked.lists:
                keys = first_keys(calls, bucket, asked.key)
                return Answer(True, f"it lists ({len(keys)} key seen)"), {}
            glance = first_byte(calls, bucket, asked.key)
        except RamroleError as error:
            return _of_object(error, url), {}
        if glance.came < glance.wanted:
            return Answer(False, "the connection ended before the first byte", "transfer-cut-off"), {
                "size": glance.size
            }
        return Answer(True, f"{glance.size:,} bytes"), {"size": glance.size}

    answer, more = ask(url, region)
    right = _ENDPOINT.fullmatch(answer.endpoint)
    if right and not asked.endpoint:  # the region was a guess of ours
        url, region = endpoints.oss(right["region"]), right["region"]
        answer, more = ask(url, region)
    fields = {"object": answer, "endpoint": url, "signer": signer, **more}
    fields["bucket_region"] = seen.bucket_region or region
    if answer.cause == "object-not-found":
        fields["keys"] = _keys(look, provider, proxy, url, region)
    elif answer.cause == "bucket-not-found" and seen.buckets is None:
        fields["buckets"] = ()
    return _state(answer), f"{'list' if asked.lists else 'read'} at {url} as {signer}: {answer.said}", fields


def _own_region(look: Look) -> str:
    return look.seen.region or look.context.region_id


def _of_object(error: RamroleError, url: str) -> Answer:
    answer = answered(error)
    silent = answer.silent or answer.status in (502, 504)
    if not silent:
        return answer
    cause, said = answer.cause, answer.said
    if not answer.status and re.search(r"Read timed out|read timeout", said, re.I):
        cause = "transfer-stalled"
    elif re.search(r"Connection broken|IncompleteRead|RemoteDisconnected|Connection aborted|reset", said):
        cause = "transfer-cut-off"
    elif "-internal." in url:
        cause = "internal-endpoint-outside"
    elif re.search(r"timed? ?out|unreachable", said, re.I) and not cause:
        cause = "service-unreachable"
    return replace(answer, cause=cause, silent=not cause)


def _keys(look: Look, provider: Any, proxy: str, url: str, region: str) -> tuple[str, ...]:
    """Return keys of the bucket, to tell a near one: as the role, else as the session."""
    context = look.context
    for who, through in ((provider, proxy), (context.calls.provider, "")):
        at = url if who is provider else context.endpoints.oss(region)
        bucket = oss_at(
            context.endpoints,
            at,
            look.seen.asked.bucket,
            who,
            region_id=region,
            proxy=through,
            timeout=_OSS_SECONDS,
        )
        calls = Calls(context.endpoints, region, who, context.wire, "the doctor", _TIMEOUTS_MS)
        try:
            return tuple(first_keys(calls, bucket, limit=_MOST_KEYS))
        except RamroleError:
            continue
    return ()


# -- the policies behind a refusal ---------------------------------------------------------------------------------


def _no_refusal(look: Look) -> str:
    answer = look.seen.object
    if answer is None or answer.ok or answer.status != 403 or answer.endpoint:
        return "nothing was refused"
    return _no_session(look)


def _policies(look: Look) -> Told:
    seen, context = look.seen, look.context
    arn = seen.identity_arn
    if not arn:
        try:
            arn = Preflight(context.calls).identity().arn
        except RamroleError:
            arn = ""
    documents, unread = _documents(context, arn)
    bucket_policy, acl = _of_bucket(look, unread)
    role, _, session = arn.partition(":assumed-role/")[2].partition("/")
    ids = (seen.identity_role_id, f"arn:sts::{seen.account}:assumed-role/{role}/{session}") if role else ()
    saw = ", ".join(f"{named.name} ({named.type})" for named in documents) or "no policy"
    saw += f"; bucket policy: {'there is one' if bucket_policy else 'none'}; ACL: {acl or 'not read'}"
    saw += f"; could not read {'; '.join(unread)}" if unread else ""
    return ("unknown" if unread else "ok"), saw, {
        "documents": tuple(documents), "unread": tuple(unread), "bucket_policy": bucket_policy, "acl": acl,
        "principal": arn, "principal_ids": ids,
    }  # fmt: skip


def _documents(context: Context, arn: str) -> tuple[list[NamedDocument], list[str]]:
    """Return the identity policies of a role's session or of a user, and what could not be read."""
    found: list[NamedDocument] = []
    unread: list[str] = []
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    name = rest.split("/")[0]
    holders: list[tuple[str, str, dict[str, str]]] = []
    if kind == "assumed-role":
        holders = [("ListPoliciesForRole", f"Role {name}", {"role_name": name})]
    elif kind == "user":
        holders = [("ListPoliciesForUser", f"User {name}", {"user_name": name})]
        try:
            groups = context.calls.ram("ListGroupsForUser", user_name=name).get("Groups", {}).get("Group", [])
            holders += [
                ("ListPoliciesForGroup", f"Group {group['GroupName']}", {"group_name": group["GroupName"]})
                for group in groups
            ]
        except RamroleError as error:
            unread.append(f"the groups of {name} ({error.what})")
    else:
        unread.append("whose policies these are")
    for action, holder, params in holders:
        try:
            rows = context.calls.ram(action, **params).get("Policies", {}).get("Policy", [])
        except RamroleError as error:
            unread.append(f"the policies of {holder} ({error.what})")
            continue
        for row in rows:
            policy, of_type = row["PolicyName"], row["PolicyType"]
            try:
                version = context.calls.ram("GetPolicy", policy_name=policy, policy_type=of_type)[
                    "DefaultPolicyVersion"
                ]
                document = parse_policy(version["PolicyDocument"])
            except (RamroleError, KeyError, MalformedPolicyDocument) as error:
                unread.append(f"the policy {policy} ({type(error).__name__})")
            else:
                found.append(NamedDocument(policy, of_type, document, version.get("VersionId", "v1"), holder))
    return found, unread


def _of_bucket(look: Look, unread: list[str]) -> tuple[NamedDocument | None, str]:
    """Return the bucket's own policy and ACL, as the session reads them."""
    context, asked = look.context, look.seen.asked
    region = look.seen.bucket_region or context.region_id
    bucket = oss_at(
        context.endpoints, context.endpoints.oss(region), asked.bucket, context.calls.provider,
        region_id=region, timeout=_OSS_SECONDS,
    )  # fmt: skip
    policy, acl = None, ""
    params = {"bucket": asked.bucket}
    try:
        text = context.calls.oss("GetBucketPolicy", params, lambda: bucket.get_bucket_policy().policy)
        text = text.decode() if isinstance(text, bytes) else text
        name = f"policy of bucket {asked.bucket}"
        policy = NamedDocument(
            name, "Bucket", parse_policy(text, kind="bucket"), "", f"Bucket {asked.bucket}"
        )
    except NotFound:
        pass  # there is none
    except (RamroleError, MalformedPolicyDocument, json.JSONDecodeError) as error:
        unread.append(f"the bucket's policy ({getattr(error, 'code', '') or type(error).__name__})")
    try:
        acl = context.calls.oss("GetBucketAcl", params, lambda: str(bucket.get_bucket_acl().acl))
    except RamroleError as error:
        unread.append(f"the bucket's ACL ({getattr(error, 'code', '') or type(error).__name__})")
    return policy, acl


PROBES: tuple[Step, ...] = (
    Step("this machine and its tools", 3.0, _always, _machine),
    Step("this session's key", 3.0, _always, _session),
    Step("the instance, as ECS tells it", 3.5, _no_instance, _instance),
    Step("its metadata service", 4.0, _no_metadata, _metadata),
    Step("the role, in RAM", 3.0, _no_role, _role),
    Step("who the credential is", 3.0, _no_identity, _identity),
    Step("the bucket", 3.0, _no_bucket, _bucket),
    Step("the object", 4.5, _no_object, _object),
    Step("the policies behind the refusal", 4.0, _no_refusal, _policies),
)
