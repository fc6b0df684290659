"""Rules about this machine, the instance, its metadata service, its role and credential, and calls that fail as such."""

from __future__ import annotations

import difflib
import re

from ..errors import nearest
from .causes import CAUSES
from .evidence import Evidence
from .findings import Finding, found
from .rules import facts_of, lower, said_by, vm_of, wants_role
from .surroundings import MINIMUM, older

# Least agent versions for hardened-only, by what DescribeInstances calls the system.
# Source: https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode
_AGENTS = {"linux": "2.2.3.857", "windows": "2.1.3.857", "freebsd": "2.3.3.857"}

_MEANT = re.compile(r"Did you mean '([^']+)'\?")

# -- this machine ------------------------------------------------------------------------------------------------


def proxy(e: Evidence) -> Finding | None:
    """A proxy of the environment takes what the SDKs send."""
    proxies = e.around.proxies
    if not (e.direct and proxies):
        return None
    silent = any(answer is not None and answer.silent for answer in (e.session, e.object))
    if not (wants_role(e) or silent):
        return None
    name = next(iter(proxies))
    also = " NO_PROXY does not help: they ignore it." if e.around.no_proxy else ""
    return found(
        "proxy-in-the-way",
        f"{name} is set, and the SDKs send even metadata and credential requests through that proxy.{also}",
        evidence={**proxies, "NO_PROXY": e.around.no_proxy},
    )


def sandbox_gone(e: Evidence) -> Finding | None:
    """The sandbox that this session talks to has ended."""
    if e.direct or e.session is None or not e.session.silent:
        return None
    return found("sandbox-not-running", "", facts_of(e), {"answer": e.session.said})


# -- the instance and its metadata service -------------------------------------------------------------------------


def instance_missing(e: Evidence) -> Finding | None:
    """No instance has this id or name."""
    answer = e.instance
    if answer is None or answer.cause != "instance-not-found":
        return None
    near = _MEANT.search(answer.said)
    call = f"cloud.instances[{near[1]!r}]" if near else None  # else: all that there are
    return found("instance-not-found", answer.said, facts_of(e), {"asked for": e.asked.instance}, call=call)


def instance_stopped(e: Evidence) -> Finding | None:
    """The instance does not run."""
    if not e.status or e.status == "Running":
        return None
    sentence = f"{vm_of(e)} is {e.status}: nothing runs on it, and its metadata service does not answer."
    return found("instance-not-running", sentence, facts_of(e), {"status": e.status})


def instance_classic(e: Evidence) -> Finding | None:
    """The instance is in no VPC."""
    if e.network != "classic":
        return None
    return found("classic-network", f"{vm_of(e)} is in a classic network; RAM roles and metadata need a VPC.", facts_of(e),
                 {"network": e.network})  # fmt: skip


def elsewhere(e: Evidence) -> Finding | None:
    """This program runs on another instance than the one meant."""
    if not e.own_id or not e.instance_id or e.own_id == e.instance_id:
        return None
    return found(
        "wrong-instance",
        f"This program runs on {e.own_id}, not on {e.instance_id}; the metadata service here is that of {e.own_id}.",
        {**facts_of(e), "instance": e.own_id},
        {"this machine": e.own_id, "asked for": e.instance_id},
    )


def metadata_off(e: Evidence) -> Finding | None:
    """The metadata service is switched off."""
    off = e.http_endpoint == "disabled"
    # Where ECS could not be asked: nothing at all is served, with a token or without.
    refused = (
        e.token_status == 403 and not e.http_endpoint and e.listing is not None and e.listing.status == 403
    )
    if not (off or refused) or e.token_status == 200:
        return None
    seen = {"HttpEndpoint": e.http_endpoint, "token": f"HTTP {e.token_status}" if e.token_status else ""}
    return found(
        "metadata-disabled", f"The metadata service of {vm_of(e)} is switched off.", facts_of(e), seen
    )


def metadata_silent(e: Evidence) -> Finding | None:
    """The metadata service does not answer: no ECS here, a container, or something blocks it."""
    answer = e.metadata
    if answer is None or answer.ok or not wants_role(e):
        return None
    if e.status not in ("", "Running") or e.network == "classic":
        return None
    vendor = e.around.vendor
    seen = {"100.100.100.200": answer.said}
    if not e.direct:
        said = f"The metadata service of {vm_of(e)} does not answer: a firewall or security group blocks it, or it hangs."
        return found("metadata-unreachable", said, facts_of(e), seen)
    seen |= {"machine": vendor, "container": e.around.container}
    if vendor and "alibaba" not in vendor.lower():
        said = f"This machine is no ECS instance (its firmware says {vendor}), so it has no instance role."
        return found("not-on-ecs", said, facts_of(e), seen)
    if vendor and e.around.container:
        return found("container-without-metadata", "", facts_of(e), seen)
    if not vendor and "unreachable" in answer.said.lower():
        return found(
            "not-on-ecs",
            "This machine has no way to 100.100.100.200: it is no ECS instance.",
            facts_of(e),
            seen,
        )
    return found("metadata-unreachable", "", facts_of(e), seen)


_TOKEN = {
    403: "metadata-token-forwarded", 405: "metadata-token-method", 400: "metadata-token-ttl", 429: "metadata-throttled"
}  # fmt: skip


def token(e: Evidence) -> Finding | None:
    """No metadata token is given out."""
    status = e.token_status
    if status in (0, 200) or e.metadata is None or not e.metadata.ok:
        return None
    cause = _TOKEN.get(status, "metadata-failed" if status >= 500 else "")
    if not cause:
        return None
    sentence = ""
    if status == 403 and e.http_endpoint == "enabled":
        sentence = f"The metadata service of {vm_of(e)} gives no token: a proxy forwards the request (X-Forwarded-For)."
    return found(
        cause, sentence, facts_of(e), {"PUT /latest/api/token": f"HTTP {status}", "instance": vm_of(e)}
    )


def client_without_token(e: Evidence) -> Finding | None:
    """The instance is hardened-only, and the client never sends a token."""
    if e.http_tokens != "required":
        return None
    who, version = "", ""
    if e.their_provider.startswith("oss2.") and "EcsRamRole" in e.their_provider:
        who, version = "oss2's own EcsRamRoleCredentialsProvider", e.around.packages.get("oss2", "")
    credentials = e.around.packages.get("alibabacloud_credentials", "")
    if not who and older(credentials, MINIMUM["alibabacloud_credentials"]):
        who, version = f"alibabacloud_credentials {credentials}", credentials
    if not who:
        return None
    return found(
        "client-without-token",
        f"{vm_of(e)} serves metadata in security hardening mode only, and {who} never sends a token.",
        facts_of(e),
        {
            "HttpTokens": e.http_tokens,
            "client": f"{who} {version}".strip(),
            "least version": "alibabacloud_credentials 0.3.6",
        },
    )


def agent_too_old(e: Evidence) -> Finding | None:
    """The instance is hardened-only, and its Cloud Assistant agent is too old for that."""
    least = _AGENTS.get(e.os_type.lower(), "")
    if e.http_tokens != "required" or not e.agent or not least or not older(e.agent, least):
        return None
    return found(
        "client-too-old",
        f"The Cloud Assistant agent {e.agent} on {vm_of(e)} is older than {least}, so commands fail in hardened-only mode.",
        facts_of(e),
        {"agent": e.agent, "least version": least, "HttpTokens": e.http_tokens},
        call="vm.set_hardening(False)",
        command="",
    )


def metadata_refuses(e: Evidence) -> Finding | None:
    """The metadata service refuses its role or its credential."""
    for answer in (e.listing, e.credential):
        if answer is not None and answer.cause in (
            "metadata-throttled", "metadata-failed", "metadata-token-refused", "hardened-only", "metadata-unreachable"
        ):  # fmt: skip
            return found(answer.cause, "", facts_of(e), {"answer": answer.said, "instance": vm_of(e)})
    return None


# -- the role ------------------------------------------------------------------------------------------------------


def _without_role(e: Evidence) -> bool:
    listing_empty = e.listing is not None and e.listing.cause == "no-role-attached"
    unasked = e.listing is None and e.attached == ""
    return (listing_empty or unasked) and wants_role(e)


def role_asked_missing(e: Evidence) -> Finding | None:
    """The role that is to be attached does not exist."""
    if not (_without_role(e) and e.asked.role and e.role is not None and e.role.cause == "role-not-found"):
        return None
    sentence = f"There is no role {e.asked.role!r}.{nearest(e.asked.role, e.role_names)}"
    near = _MEANT.search(sentence)
    call = (
        f"vm.attach(cloud.roles[{near[1]!r}])" if near else None
    )  # a new one of a mistyped name helps nobody
    return found("role-not-found", sentence, facts_of(e), {"roles": ", ".join(e.role_names[:20])}, call=call)


def untrusted(e: Evidence) -> Finding | None:
    """The role does not trust ECS."""
    by_metadata = e.credential is not None and e.credential.cause == "trust-without-ecs"
    if not by_metadata and e.trusts_ecs is not False:
        return None
    name = e.role_name or e.listed
    sentence = f"The trust policy of {name} does not name ecs.aliyuncs.com, so no instance can use the role."
    said = e.credential.said if e.credential is not None and not e.credential.ok else ""
    return found("trust-without-ecs", sentence, {**facts_of(e), "role": name}, {"metadata service": said})


def pass_role(e: Evidence) -> Finding | None:
    """There is no role, and the caller may not attach the one named."""
    missing = [action for action, mark in e.may_attach.items() if mark.startswith("✕")]
    if not missing or not _without_role(e):
        return None
    cause = "pass-role-missing" if "ram:PassRole" in missing else "permission-missing"
    lacks = ", ".join(missing)
    sentence = (
        f"{vm_of(e)} has no role, and the session's user may not attach {e.asked.role}: {lacks} is missing."
    )
    seen = {"your permissions": ", ".join(f"{mark} {action}" for action, mark in e.may_attach.items())}
    # The user lacks it, and not the role.
    command = "aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName POLICY --UserName USER"
    return found(cause, sentence, facts_of(e), seen, call="cloud.identity()", command=command)


def not_visible(e: Evidence) -> Finding | None:
    """A role was attached moments ago and does not show yet."""
    if not _without_role(e) or e.attached_now is None:
        return None
    sentence = f"A role was attached to {vm_of(e)} {e.attached_now:.0f} s ago and does not show yet; changes take time."
    return found("role-not-visible-yet", sentence, facts_of(e))


def no_role(e: Evidence) -> Finding | None:
    """No role is attached."""
    if not _without_role(e):
        return None
    ecs = "" if e.attached is None else e.attached or "none"
    metadata = e.listing.said if e.listing is not None else ""
    sentence = f"No RAM role is attached to {vm_of(e)}."
    return found("no-role-attached", sentence, facts_of(e), {"ECS says": ecs, "metadata service": metadata})


def other_role(e: Evidence) -> Finding | None:
    """Another role is attached than the one named."""
    has = e.listed or e.attached or ""
    asked = e.asked.role
    if not has or not asked or has == asked:
        return None
    near = asked.lower() == has.lower() or bool(difflib.get_close_matches(asked, [has], cutoff=0.6))
    meant = f" Did you mean {has!r}?" if near else ""
    sentence = f"{vm_of(e)} has the role {has!r}, not {asked!r}.{meant}"
    missing = bool(e.role_names) and asked not in e.role_names
    if missing:
        sentence += f" There is no role {asked!r} in the account."
    return found(
        "role-name-wrong", sentence, facts_of(e), {"attached": has, "asked for": asked},
        call="vm.credentials()" if near or missing else f"vm.replace_role({asked!r})",
    )  # fmt: skip


def role_gone(e: Evidence) -> Finding | None:
    """The attached role was deleted, or deleted and made again."""
    has = e.listed or e.attached or ""
    if not has:
        return None
    gone = e.role is not None and e.role.cause == "role-not-found"
    if gone or (e.credential is not None and e.credential.cause == "role-deleted"):
        sentence = f"The role {has!r} that is attached to {vm_of(e)} was deleted."
        seen = {"RAM": e.role.said if e.role else "", "attached": has}
        # As it was asked for, the new one may do what this is about.
        grant = f".grant(rr.policy.read_objects({e.asked.bucket!r}))" if e.asked.bucket else ""
        call = f"cloud.roles.create({has!r}){grant}"
        return found("role-deleted", sentence, {**facts_of(e), "role": has}, seen, call=call)
    ids = [
        known for known in (e.identity_role_id, e.held_role_id) if known and e.role_id and known != e.role_id
    ]
    same_role = not e.held_role or e.held_role == has
    if ids and same_role and e.role_name == has:
        sentence = f"The role {has!r} was deleted and made again; the credential in use is of the old one."
        return found(
            "role-deleted", sentence, facts_of(e), {"role id now": e.role_id, "role id of the credential": ids[0]},
            call="vm.credentials(refresh=True)", command="",
        )  # fmt: skip
    return None


# -- the credential ------------------------------------------------------------------------------------------------


def static_key(e: Evidence) -> Finding | None:
    """A lasting key is used before the role."""
    if not (e.default_chain and e.around.static_key and e.listed):
        return None
    sentence = (
        f"An AccessKey from {e.around.static_key} is used before the instance's role, and nothing says so."
    )
    return found("static-key-wins", sentence, facts_of(e), {"found": e.around.static_key, "role": e.listed})


def expired(e: Evidence) -> Finding | None:
    """The credential served has expired."""
    left = e.seconds_left
    if left is None or left > 0:
        return None
    if any(answer is not None and answer.cause == "clock-skew" for answer in (e.session, e.identity)):
        return None  # by a clock that is wrong, which is the cause
    sentence = f"The metadata service of {vm_of(e)} serves a credential that expired {-left:.0f} s ago."
    return found("credential-expired", sentence, facts_of(e), {"key": e.credential_key})


_OF_CREDENTIAL = frozenset(name for name, known in CAUSES.items() if known.layer == "credential")


def bad_credential(e: Evidence) -> Finding | None:
    """STS refuses the credential as such."""
    answer = e.identity
    if answer is None or answer.ok or answer.cause not in _OF_CREDENTIAL:
        return None
    whose = e.their_provider or f"the role {e.listed}"
    sentence = f"STS refused the credential of {whose}: {lower(CAUSES[answer.cause].meaning)}"
    return found(answer.cause, sentence, facts_of(e), {"key": e.credential_key, **said_by(answer)})


def stale(e: Evidence) -> Finding | None:
    """This process holds another credential than is served now."""
    if not e.held_key or e.held_key == e.credential_key or e.identity is None or not e.identity.ok:
        return None
    seen = {"this process holds": e.held_key, "the metadata service serves": e.credential_key}
    if e.held_role and e.listed and e.held_role != e.listed:
        sentence = f"This process still signs as {e.held_role}; {vm_of(e)} has the role {e.listed} now."
        return found("credential-stale", sentence, facts_of(e), seen)
    if e.held_identity is not None and e.held_identity.cause in _OF_CREDENTIAL:
        sentence = "This process holds a credential the services refuse, while the metadata service serves a good one."
        return found("credential-stale", sentence, facts_of(e), {**seen, **said_by(e.held_identity)})
    return None


# -- calls that failed as such -------------------------------------------------------------------------------------

_INNER = ("role", "metadata", "object", "policy", "endpoint", "transfer")


def call_failed(e: Evidence) -> Finding | None:
    """The calls to ECS, RAM and STS: the clock, the key, the network, how often."""
    for who, answer in (("this session", e.session), ("this session", e.instance), ("this session", e.role),
                        ("the role's credential", e.identity)):  # fmt: skip
        if answer is None or answer.ok or not answer.cause:
            continue
        if CAUSES[answer.cause].layer in _INNER or answer.cause in ("instance-not-found", "role-not-found"):
            continue
        sentence = f"The calls of {who} are refused: {lower(CAUSES[answer.cause].meaning)}"
        return found(answer.cause, sentence, facts_of(e), said_by(answer))
    silent = next(
        (a for a in (e.session, e.instance, e.role) if a is not None and a.silent and not a.cause), None
    )
    if silent is not None:
        return found("service-unreachable", "", facts_of(e), {"answer": silent.said})
    return None
