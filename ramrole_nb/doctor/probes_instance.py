"""Looks at this machine, the session, the instance, its metadata service, its role, and who its credential is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..cloud.calls import Calls
from ..cloud.context import Context
from ..cloud.credentials import StaticCredentials, provider_for
from ..cloud.instances import BoundInstance, Instances
from ..cloud.metadata import HARDENED, NORMAL, MetadataClient
from ..cloud.preflight import Need, Preflight
from ..cloud.roles import Roles
from ..errors import (
    InputError,
    MetadataError,
    MetadataUnreachable,
    NoRoleAttached,
    NotFound,
    RamroleError,
    WrongRoleName,
)
from ..models import StsCredentials
from ..redact import mask_key_id
from .evidence import Answer, answered
from .looking import TIMEOUTS_MS, Look, Told, no_session, state_of
from .surroundings import look_around

__all__ = [
    "look_at_identity",
    "look_at_instance",
    "look_at_machine",
    "look_at_metadata",
    "look_at_role",
    "look_at_session",
    "no_identity",
    "no_instance",
    "no_metadata",
    "no_role",
    "signer_of",
]

_METADATA_SECONDS = 1.2
# How long after an attachment of ours a missing role is put down to the cloud's delay.
_SETTLING_SECONDS = 60.0

# -- this machine ----------------------------------------------------------------------------------------------


def look_at_machine(look: Look) -> Told:
    """Look at versions and variables; nothing is sent."""
    around = look_around(look.python, look.front_end)
    seen = look.seen
    parts = [f"Python {around.python}" if around.python else f"{look.python} gave no answer"]
    parts += [f"{name} {version}" for name, version in around.packages.items() if version]
    if around.cli:
        parts.append(f"CLI {around.cli}")
    if around.proxies:
        names = sorted({name.upper() for name in around.proxies})
        parts.append(f"{', '.join(names)} set" + ("" if seen.direct else " (this session does not use it)"))
    if around.static_key:
        parts.append(
            f"AccessKey from {around.static_key}"
            + ("" if seen.default_chain else " (not used by this session)")
        )
    if around.container:
        parts.append("in a container")
    return "ok", ", ".join(parts), {"around": around}


# -- the account's side ------------------------------------------------------------------------------------------


def look_at_session(look: Look) -> Told:
    """Ask who signs the session's calls (sts:GetCallerIdentity)."""
    calls = look.context.calls
    try:
        who = Preflight(calls).identity()
    except RamroleError as error:
        answer = answered(error)
        return state_of(answer), answer.said, {"session": answer}
    return (
        "ok",
        f"{calls.caller}: {who.type} {who.name}",
        {"session": Answer(True), "account": who.account_id},
    )


def no_instance(look: Look) -> str:
    """Return why the instance is not looked up; empty: it is."""
    if look.vm is None and not look.seen.asked.instance:
        return (
            "no instance was named"
            if not look.seen.here
            else "the metadata service will say which one this is"
        )
    return no_session(look)


def look_at_instance(look: Look) -> Told:
    """Look the instance up in ECS: where, how it is, its metadata options and its role."""
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


def no_metadata(look: Look) -> str:
    """Return why the metadata service is not asked; empty: it is."""
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


def look_at_metadata(look: Look) -> Told:
    """Ask the metadata service for a token, who it is, its role and the credential."""
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


def no_role(look: Look) -> str:
    """Return why no role is looked up; empty: one is."""
    seen = look.seen
    if not (seen.listed or seen.attached or seen.asked.role):
        return "no role is known"
    return no_session(look)


def look_at_role(look: Look) -> Told:
    """Look the role up in RAM; where none is attached, also whether the caller may attach it."""
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
        return state_of(answer), answer.said, fields | {"role": answer}
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


def signer_of(look: Look) -> tuple[Any, str]:
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


def no_identity(look: Look) -> str:
    """Return why nobody is asked who they are; empty: somebody is."""
    return "" if look.fetched is not None or look.provider is not None else "there is no credential of a role"


def look_at_identity(look: Look) -> Told:
    """Ask who the role's credential is, and who the one this process still holds."""
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
    return state_of(answer), saw, fields


def _who(look: Look, provider: Any) -> tuple[Answer, str, str]:
    context = look.context
    calls = Calls(
        context.endpoints,
        look.seen.region or context.region_id,
        provider,
        context.wire,
        "the role",
        TIMEOUTS_MS,
    )
    try:
        who = Preflight(calls).identity()
    except RamroleError as error:
        return answered(error), "", ""
    return Answer(True), who.arn, who.role_id
