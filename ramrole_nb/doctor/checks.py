"""From evidence to causes: pure rules, in the order in which trouble lies, from the outside in.

A rule is told everything and answers with a finding or with nothing. `after` names the probe without which it cannot judge;
`judge` applies the rules whose probe has been, so that an outer cause is always named before an inner one.
"""

from __future__ import annotations

import difflib
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import nearest
from ..policy import Decision, Outcome, Request, Statement, action_matches, evaluate, resource_matches
from .causes import CAUSES, LAYERS
from .evidence import PROBES, Answer, Evidence
from .findings import Finding, found
from .surroundings import MINIMUM, older

__all__ = ["RULES", "advice", "decide", "judge", "open_questions"]

# Seconds a download takes longer without crcmod's extension before it is a cause: 5 MiB/s were measured.
_SLOW_SECONDS, _SLOW_RATE = 1.0, 5.1 * 1024 * 1024
# Least agent versions for hardened-only, by what DescribeInstances calls the system.
# Source: https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode
_AGENTS = {"linux": "2.2.3.857", "windows": "2.1.3.857", "freebsd": "2.3.3.857"}

Rule = Callable[[Evidence], Finding | None]


def _facts(e: Evidence) -> dict[str, str]:
    role = e.asked.role or e.listed or e.attached or e.role_name or _role_in(e)
    return {
        "role": role,
        "instance": e.instance_id or e.asked.instance,
        "region": e.region or e.bucket_region,
        "bucket": e.asked.bucket,
        "key": e.asked.key,
        "endpoint": e.endpoint.rpartition("://")[2],
    }


def _role_in(e: Evidence) -> str:
    return e.principal.partition(":assumed-role/")[2].partition("/")[0]


def _vm(e: Evidence) -> str:
    return e.instance_id or e.asked.instance or "this machine"


def _means_instance(e: Evidence) -> bool:
    return bool(e.asked.instance or e.instance_id) or e.here


def _wants_role(e: Evidence) -> bool:
    """Tell whether an instance and its role are meant: live, an object alone may be the session's own affair."""
    return bool(e.asked.instance or e.asked.role) or (not (e.here and e.asked.bucket) and _means_instance(e))


def _of(answer: Answer) -> dict[str, str]:
    """Return what a service's refusal says of itself."""
    code = ", ".join(
        part
        for part in (answer.code, answer.status and f"HTTP {answer.status}", answer.ec and f"EC {answer.ec}")
        if part
    )
    return {"answer": code, "message": answer.message or answer.said, "request id": answer.request_id}


# -- this machine ------------------------------------------------------------------------------------------------


def _proxy(e: Evidence) -> Finding | None:
    proxies = e.around.proxies
    if not (e.direct and proxies):
        return None
    silent = any(answer is not None and answer.silent for answer in (e.session, e.object))
    if not (_wants_role(e) or silent):
        return None
    name = next(iter(proxies))
    also = " NO_PROXY does not help: they ignore it." if e.around.no_proxy else ""
    return found(
        "proxy-in-the-way",
        f"{name} is set, and the SDKs send even metadata and credential requests through that proxy.{also}",
        evidence={**proxies, "NO_PROXY": e.around.no_proxy},
    )


# -- the instance and its metadata service -------------------------------------------------------------------------


def _instance_missing(e: Evidence) -> Finding | None:
    answer = e.instance
    if answer is None or answer.cause != "instance-not-found":
        return None
    return found("instance-not-found", answer.said, _facts(e), {"asked for": e.asked.instance})


def _instance_stopped(e: Evidence) -> Finding | None:
    if not e.status or e.status == "Running":
        return None
    sentence = f"{_vm(e)} is {e.status}: nothing runs on it, and its metadata service does not answer."
    return found("instance-not-running", sentence, _facts(e), {"status": e.status})


def _instance_classic(e: Evidence) -> Finding | None:
    if e.network != "classic":
        return None
    return found("classic-network", f"{_vm(e)} is in a classic network; RAM roles and metadata need a VPC.", _facts(e),
                 {"network": e.network})  # fmt: skip


def _elsewhere(e: Evidence) -> Finding | None:
    if not e.own_id or not e.instance_id or e.own_id == e.instance_id:
        return None
    return found(
        "wrong-instance",
        f"This program runs on {e.own_id}, not on {e.instance_id}; the metadata service here is that of {e.own_id}.",
        {**_facts(e), "instance": e.own_id},
        {"this machine": e.own_id, "asked for": e.instance_id},
    )


def _metadata_off(e: Evidence) -> Finding | None:
    off = e.http_endpoint == "disabled"
    # Where ECS could not be asked: nothing at all is served, with a token or without.
    refused = (
        e.token_status == 403 and not e.http_endpoint and e.listing is not None and e.listing.status == 403
    )
    if not (off or refused) or e.token_status == 200:
        return None
    seen = {"HttpEndpoint": e.http_endpoint, "token": f"HTTP {e.token_status}" if e.token_status else ""}
    return found("metadata-disabled", f"The metadata service of {_vm(e)} is switched off.", _facts(e), seen)


def _metadata_silent(e: Evidence) -> Finding | None:
    answer = e.metadata
    if answer is None or answer.ok or not _wants_role(e):
        return None
    if e.status not in ("", "Running") or e.network == "classic":
        return None
    vendor = e.around.vendor
    seen = {"100.100.100.200": answer.said}
    if not e.direct:
        said = f"The metadata service of {_vm(e)} does not answer: a firewall or security group blocks it, or it hangs."
        return found("metadata-unreachable", said, _facts(e), seen)
    seen |= {"machine": vendor, "container": e.around.container}
    if vendor and "alibaba" not in vendor.lower():
        said = f"This machine is no ECS instance (its firmware says {vendor}), so it has no instance role."
        return found("not-on-ecs", said, _facts(e), seen)
    if vendor and e.around.container:
        return found("container-without-metadata", "", _facts(e), seen)
    if not vendor and "unreachable" in answer.said.lower():
        return found(
            "not-on-ecs",
            "This machine has no way to 100.100.100.200: it is no ECS instance.",
            _facts(e),
            seen,
        )
    return found("metadata-unreachable", "", _facts(e), seen)


_TOKEN = {
    403: "metadata-token-forwarded", 405: "metadata-token-method", 400: "metadata-token-ttl", 429: "metadata-throttled"
}  # fmt: skip


def _token(e: Evidence) -> Finding | None:
    status = e.token_status
    if status in (0, 200) or e.metadata is None or not e.metadata.ok:
        return None
    cause = _TOKEN.get(status, "metadata-failed" if status >= 500 else "")
    if not cause:
        return None
    sentence = ""
    if status == 403 and e.http_endpoint == "enabled":
        sentence = f"The metadata service of {_vm(e)} gives no token: a proxy forwards the request (X-Forwarded-For)."
    return found(cause, sentence, _facts(e), {"PUT /latest/api/token": f"HTTP {status}", "instance": _vm(e)})


def _client_without_token(e: Evidence) -> Finding | None:
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
        f"{_vm(e)} serves metadata in security hardening mode only, and {who} never sends a token.",
        _facts(e),
        {
            "HttpTokens": e.http_tokens,
            "client": f"{who} {version}".strip(),
            "least version": "alibabacloud_credentials 0.3.6",
        },
    )


def _agent_too_old(e: Evidence) -> Finding | None:
    least = _AGENTS.get(e.os_type.lower(), "")
    if e.http_tokens != "required" or not e.agent or not least or not older(e.agent, least):
        return None
    return found(
        "client-too-old",
        f"The Cloud Assistant agent {e.agent} on {_vm(e)} is older than {least}, so commands fail in hardened-only mode.",
        _facts(e),
        {"agent": e.agent, "least version": least, "HttpTokens": e.http_tokens},
        call="vm.set_hardening(False)",
        command="",
    )


def _metadata_refuses(e: Evidence) -> Finding | None:
    for answer in (e.listing, e.credential):
        if answer is not None and answer.cause in (
            "metadata-throttled", "metadata-failed", "metadata-token-refused", "hardened-only", "metadata-unreachable"
        ):  # fmt: skip
            return found(answer.cause, "", _facts(e), {"answer": answer.said, "instance": _vm(e)})
    return None


# -- the role ------------------------------------------------------------------------------------------------------


def _without_role(e: Evidence) -> bool:
    listing_empty = e.listing is not None and e.listing.cause == "no-role-attached"
    unasked = e.listing is None and e.attached == ""
    return (listing_empty or unasked) and _wants_role(e)


def _role_asked_missing(e: Evidence) -> Finding | None:
    if not (_without_role(e) and e.asked.role and e.role is not None and e.role.cause == "role-not-found"):
        return None
    sentence = f"There is no role {e.asked.role!r}.{nearest(e.asked.role, e.role_names)}"
    return found("role-not-found", sentence, _facts(e), {"roles": ", ".join(e.role_names[:20])})


def _untrusted(e: Evidence) -> Finding | None:
    by_metadata = e.credential is not None and e.credential.cause == "trust-without-ecs"
    if not by_metadata and e.trusts_ecs is not False:
        return None
    name = e.role_name or e.listed
    sentence = f"The trust policy of {name} does not name ecs.aliyuncs.com, so no instance can use the role."
    said = e.credential.said if e.credential is not None and not e.credential.ok else ""
    return found("trust-without-ecs", sentence, {**_facts(e), "role": name}, {"metadata service": said})


def _pass_role(e: Evidence) -> Finding | None:
    missing = [action for action, mark in e.may_attach.items() if mark.startswith("✕")]
    if not missing or not _without_role(e):
        return None
    cause = "pass-role-missing" if "ram:PassRole" in missing else "permission-missing"
    lacks = ", ".join(missing)
    sentence = (
        f"{_vm(e)} has no role, and the session's user may not attach {e.asked.role}: {lacks} is missing."
    )
    seen = {"your permissions": ", ".join(f"{mark} {action}" for action, mark in e.may_attach.items())}
    return found(cause, sentence, _facts(e), seen)


def _not_visible(e: Evidence) -> Finding | None:
    if not _without_role(e) or e.attached_now is None:
        return None
    sentence = f"A role was attached to {_vm(e)} {e.attached_now:.0f} s ago and does not show yet; changes take time."
    return found("role-not-visible-yet", sentence, _facts(e))


def _no_role(e: Evidence) -> Finding | None:
    if not _without_role(e):
        return None
    ecs = "" if e.attached is None else e.attached or "none"
    metadata = e.listing.said if e.listing is not None else ""
    sentence = f"No RAM role is attached to {_vm(e)}."
    return found("no-role-attached", sentence, _facts(e), {"ECS says": ecs, "metadata service": metadata})


def _other_role(e: Evidence) -> Finding | None:
    has = e.listed or e.attached or ""
    asked = e.asked.role
    if not has or not asked or has == asked:
        return None
    near = asked.lower() == has.lower() or bool(difflib.get_close_matches(asked, [has], cutoff=0.6))
    meant = f" Did you mean {has!r}?" if near else ""
    sentence = f"{_vm(e)} has the role {has!r}, not {asked!r}.{meant}"
    if asked not in e.role_names and e.role_names:
        sentence += f" There is no role {asked!r} in the account."
    return found(
        "role-name-wrong", sentence, _facts(e), {"attached": has, "asked for": asked},
        call="vm.credentials()" if near else f"vm.replace_role({asked!r})",
    )  # fmt: skip


def _role_gone(e: Evidence) -> Finding | None:
    has = e.listed or e.attached or ""
    if not has:
        return None
    gone = e.role is not None and e.role.cause == "role-not-found"
    if gone or (e.credential is not None and e.credential.cause == "role-deleted"):
        sentence = f"The role {has!r} that is attached to {_vm(e)} was deleted."
        return found(
            "role-deleted", sentence, _facts(e), {"RAM": e.role.said if e.role else "", "attached": has}
        )
    ids = [
        known for known in (e.identity_role_id, e.held_role_id) if known and e.role_id and known != e.role_id
    ]
    same_role = not e.held_role or e.held_role == has
    if ids and same_role and e.role_name == has:
        sentence = f"The role {has!r} was deleted and made again; the credential in use is of the old one."
        return found(
            "role-deleted", sentence, _facts(e), {"role id now": e.role_id, "role id of the credential": ids[0]},
            call="vm.credentials(refresh=True)", command="",
        )  # fmt: skip
    return None


# -- the credential ------------------------------------------------------------------------------------------------


def _static_key(e: Evidence) -> Finding | None:
    if not (e.default_chain and e.around.static_key and e.listed):
        return None
    sentence = (
        f"An AccessKey from {e.around.static_key} is used before the instance's role, and nothing says so."
    )
    return found("static-key-wins", sentence, _facts(e), {"found": e.around.static_key, "role": e.listed})


def _expired(e: Evidence) -> Finding | None:
    left = e.seconds_left
    if left is None or left > 0:
        return None
    sentence = f"The metadata service of {_vm(e)} serves a credential that expired {-left:.0f} s ago."
    return found("credential-expired", sentence, _facts(e), {"key": e.credential_key})


_OF_CREDENTIAL = frozenset(name for name, known in CAUSES.items() if known.layer == "credential")


def _bad_credential(e: Evidence) -> Finding | None:
    answer = e.identity
    if answer is None or answer.ok or answer.cause not in _OF_CREDENTIAL:
        return None
    whose = e.their_provider or f"the role {e.listed}"
    sentence = f"STS refused the credential of {whose}: {_lower(CAUSES[answer.cause].meaning)}"
    return found(answer.cause, sentence, _facts(e), {"key": e.credential_key, **_of(answer)})


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _stale(e: Evidence) -> Finding | None:
    if not e.held_key or e.held_key == e.credential_key or e.identity is None or not e.identity.ok:
        return None
    seen = {"this process holds": e.held_key, "the metadata service serves": e.credential_key}
    if e.held_role and e.listed and e.held_role != e.listed:
        sentence = f"This process still signs as {e.held_role}; {_vm(e)} has the role {e.listed} now."
        return found("credential-stale", sentence, _facts(e), seen)
    if e.held_identity is not None and e.held_identity.cause in _OF_CREDENTIAL:
        sentence = "This process holds a credential the services refuse, while the metadata service serves a good one."
        return found("credential-stale", sentence, _facts(e), {**seen, **_of(e.held_identity)})
    return None


# -- calls that failed as such -------------------------------------------------------------------------------------

_INNER = ("role", "metadata", "object", "policy", "endpoint", "transfer")


def _call_failed(e: Evidence) -> Finding | None:
    """The calls to ECS, RAM and STS: the clock, the key, the network, how often."""
    for who, answer in (("this session", e.session), ("this session", e.instance), ("this session", e.role),
                        ("the role's credential", e.identity)):  # fmt: skip
        if answer is None or answer.ok or not answer.cause:
            continue
        if CAUSES[answer.cause].layer in _INNER or answer.cause in ("instance-not-found", "role-not-found"):
            continue
        sentence = f"The calls of {who} are refused: {_lower(CAUSES[answer.cause].meaning)}"
        return found(answer.cause, sentence, _facts(e), _of(answer))
    silent = next(
        (a for a in (e.session, e.instance, e.role) if a is not None and a.silent and not a.cause), None
    )
    if silent is not None:
        return found("service-unreachable", "", _facts(e), {"answer": silent.said})
    return None


# -- bucket and object ---------------------------------------------------------------------------------------------


def _names(e: Evidence) -> Finding | None:
    key, bucket = e.asked.key, e.asked.bucket
    if key.startswith(("/", "\\")):
        right = key.lstrip("/\\")
        sentence = f"A key does not begin with a slash: {right!r} is meant, not {key!r}."
        return found("object-name-invalid", sentence, {**_facts(e), "key": right}, {"asked for": key})
    if (
        bucket
        and e.object is None
        and e.buckets is not None
        and bucket not in e.buckets
        and not bucket.islower()
    ):
        return found("bucket-name-invalid", "", _facts(e), {"asked for": bucket})
    return None


def _bucket_missing(e: Evidence) -> Finding | None:
    if e.object is None or e.object.cause != "bucket-not-found":
        return None
    near = nearest(e.asked.bucket, e.buckets or ())
    sentence = f"There is no bucket {e.asked.bucket!r}.{near}"
    return found(
        "bucket-not-found",
        sentence,
        _facts(e),
        {"buckets": ", ".join((e.buckets or ())[:20]), **_of(e.object)},
    )


def _key_missing(e: Evidence) -> Finding | None:
    if e.object is None or e.object.cause != "object-not-found":
        return None
    asked = e.asked.key
    folded = [key for key in e.keys if key.lower() == asked.lower()]
    if folded:
        sentence = f"There is no object {asked!r}; keys are case-sensitive, and {folded[0]!r} is there."
    else:
        sentence = f"There is no object {asked!r}.{nearest(asked, e.keys)}"
    near = folded or difflib.get_close_matches(asked, e.keys, n=3, cutoff=0.5)
    call = command = None
    if near:
        signer = f".using(cloud.instances[{e.instance_id!r}])" if e.instance_id else ""
        call = f"cloud.buckets[{e.asked.bucket!r}]{signer}.download({near[0]!r})"
        command = f"aliyun oss cp {shlex.quote(f'oss://{e.asked.bucket}/{near[0]}')} ."
    seen = {"near": ", ".join(near), **_of(e.object)}
    return found("object-not-found", sentence, _facts(e), seen, call=call, command=command)


def _object_failed(e: Evidence) -> Finding | None:
    """Where the object call's answer names its cause: endpoint, signature, credential, clock, bytes."""
    answer = e.object
    if answer is None or answer.ok or not answer.cause or CAUSES[answer.cause].layer == "policy":
        return None
    if answer.cause in ("object-not-found", "bucket-not-found"):
        return None
    facts, seen = _facts(e), {"endpoint": e.endpoint, "signed by": e.signer, **_of(answer)}
    sentence, call = CAUSES[answer.cause].meaning, None
    if answer.cause == "endpoint-wrong-region":
        facts["endpoint"] = answer.endpoint
        sentence = f"{e.asked.bucket} is in another region than {_host(e.endpoint)}: its endpoint is {answer.endpoint}."
        right, region = f"https://{answer.endpoint}", _region_of(answer.endpoint)
        call = f"oss2.Bucket(auth, {right!r}, {e.asked.bucket!r}, region={region!r})"
    elif answer.cause == "internal-endpoint-outside":
        sentence = f"{_host(e.endpoint)} answers only inside Alibaba Cloud in its region; this request comes from elsewhere."
    elif answer.cause == "signature-v1-refused":
        sentence = "OSS refuses signature version 1 here: sign with version 4 (ProviderAuthV4 and region=)."
    return found(answer.cause, sentence, facts, seen, call=call)


def _host(endpoint: str) -> str:
    return endpoint.rpartition("://")[2]


def _region_of(endpoint: str) -> str:
    return endpoint.partition("oss-")[2].partition(".")[0].removesuffix("-internal")


# -- the policies behind a refusal ---------------------------------------------------------------------------------


def _request(e: Evidence) -> Request:
    action = "oss:ListObjects" if e.asked.lists else "oss:GetObject"
    name = e.asked.bucket if e.asked.lists else f"{e.asked.bucket}/{e.asked.key}"
    context: dict[str, str | None] = {
        "acs:CurrentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "acs:SecureTransport": "true" if e.secure else "false",
        "acs:SourceIp": None,
        "acs:SourceVpc": None,
        "acs:UserAgent": None,
        "acs:AccessId": None,
        "acs:MFAPresent": "false",
        "acs:PrincipalARN": e.principal,
    }
    if e.asked.lists:
        context |= {"oss:Prefix": e.asked.key, "oss:Delimiter": ""}
    resource = f"acs:oss:oss-{e.bucket_region}:{e.account}:{name}"
    return Request(action, resource, e.principal, context, e.principal_ids)


def decide(e: Evidence) -> Decision | None:
    """Evaluate the refused call against the policies that were read, with the evaluator the sandbox refuses by."""
    if e.documents is None:
        return None
    documents = (*e.documents, *((e.bucket_policy,) if e.bucket_policy is not None else ()))
    return evaluate(_request(e), documents)


def _refused(e: Evidence) -> Finding | None:
    answer = e.object
    if answer is None or answer.ok or not answer.cause or CAUSES[answer.cause].layer != "policy":
        return None
    request, decision = _request(e), decide(e)
    call = f"{request.action} on {request.resource.rpartition(':')[2]}"
    who = e.signer or "the caller"
    seen = {"refused": f"{call} to {who}", **_of(answer)}
    service = "explicit" if answer.cause in ("explicit-deny", "bucket-policy") else "implicit"
    if answer.cause in (
        "session-policy",
        "control-policy",
        "acl-refuses",
        "anonymous",
        "assume-role-refused",
    ):
        sentence = _SAID[answer.cause].format(call=call, who=who)
        return found(
            answer.cause,
            sentence,
            _facts(e),
            {**seen, "its own policies": decision.because if decision else ""},
        )
    if decision is None:
        return found(answer.cause, f"OSS refused {call} to {who}.", _facts(e), seen)
    seen["deciding statement"] = decision.because
    if decision.outcome is Outcome.EXPLICIT_DENY and decision.matched is not None:
        row = decision.matched
        if row.policy_type == "Bucket":
            sentence = f"The bucket's own policy denies {call}: {row.place}."
            return found("bucket-policy", sentence, _facts(e), seen)
        sentence = f"{row.place} explicitly denies {call} to {who}; a Deny always wins."
        return found("explicit-deny", sentence, {**_facts(e), "policy": row.policy}, seen)
    if service == "implicit" and decision.outcome is Outcome.IMPLICIT_DENY:
        if (wrong := _wrong_form(e, request)) is not None:
            return _form_finding(e, request, wrong, seen)
        sentence = f"No policy of {who} allows {call}."
        return found(
            "permission-missing", sentence, _facts(e), seen, call=_grant(e), command=_grant_by_cli(e)
        )
    return _candidates(e, call, who, decision, seen, answer)


_SAID = {
    "session-policy": "The session policy given when the role was attached does not allow {call}.",
    "control-policy": "A control policy of the resource directory refuses {call} to the whole account.",
    "acl-refuses": "The bucket or object belongs to somebody else, and its access control list does not let {who} in.",
    "anonymous": "The request for {call} carried no credential.",
    "assume-role-refused": "The role may not be assumed by {who}.",
}


def _grant(e: Evidence) -> str:
    role = _role_in(e) or e.listed
    maker = f"rr.policy.read_objects({e.asked.bucket!r})"
    return f"cloud.roles[{role!r}].grant({maker})" if role else maker


def _grant_by_cli(e: Evidence) -> str | None:
    user = e.principal.partition(":user/")[2]
    if not user:
        return None
    return f"aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName POLICY --UserName {shlex.quote(user)}"


def _wrong_form(e: Evidence, request: Request) -> tuple[str, Statement, int] | None:
    """Return the Allow statement that has the action, on the bucket where objects are meant or the other way round."""
    account, bucket = e.account, e.asked.bucket
    place = f"acs:oss:oss-{e.bucket_region}:{account}:{bucket}"
    other = place if not e.asked.lists else f"{place}/any-object"
    for named in e.documents or ():
        for number, statement in enumerate(named.document.statements):
            if statement.effect != "Allow" or not any(
                action_matches(a, request.action) for a in statement.actions
            ):
                continue
            if any(resource_matches(r, other) for r in statement.resources):
                return named.name, statement, number
    return None


def _form_finding(
    e: Evidence, request: Request, wrong: tuple[str, Statement, int], seen: dict[str, str]
) -> Finding:
    policy, statement, number = wrong
    has = ", ".join(statement.resources)
    bucket = e.asked.bucket
    needs = f"acs:oss:*:*:{bucket}" if e.asked.lists else f"acs:oss:*:*:{bucket}/*"
    sentence = f"Statement[{number}] of {policy} allows {request.action} on {has}; the action is on {needs}."
    seen = {**seen, "allowed on": has, "needed on": needs}
    return found("resource-form-wrong", sentence, {**_facts(e), "policy": policy}, seen, call=_grant(e))


def _candidates(
    e: Evidence, call: str, who: str, decision: Decision, seen: dict[str, str], answer: Answer
) -> Finding:
    """The evaluator does not see the refusal in what could be read: name what else can refuse, and what was read of it."""
    seen = {
        **seen,
        "bucket policy": "there is one, and it does not deny this" if e.bucket_policy is not None else "none",
        "bucket ACL": e.acl or "could not be read",
        "session policy": "cannot be read; it is given when a role is attached or assumed",
        "control policy": "cannot be read here; it is the resource directory's",
        "could not read": "; ".join(e.unread),
    }
    if decision.outcome is Outcome.ALLOW:
        sentence = (
            f"The policies that can be read allow {call} to {who}, and OSS refused it: a session policy, a control policy "
            "or the object's own ACL decides."
        )
        return found("access-denied", sentence, _facts(e), seen)
    cause = answer.cause if answer.cause != "bucket-policy" else "explicit-deny"
    return found(cause, f"OSS refused {call} to {who}; {_lower(decision.because)}", _facts(e), seen)


# -- what hurts and breaks nothing ---------------------------------------------------------------------------------


def _sdk_too_old(e: Evidence) -> Finding | None:
    versions = {
        "alibabacloud_credentials": e.around.packages.get("alibabacloud_credentials", ""),
        "aliyun": e.around.cli,
    }
    for name, version in versions.items():
        if older(version, MINIMUM[name]):
            tool = "the Alibaba Cloud CLI" if name == "aliyun" else name
            sentence = (
                f"{tool} {version} is older than {MINIMUM[name]}: it cannot use security hardening mode."
            )
            command = "aliyun upgrade" if name == "aliyun" else None
            return found(
                "client-too-old",
                sentence,
                _facts(e),
                {"version": version, "least": MINIMUM[name]},
                command=command,
            )
    return None


# ipywidgets' front end for JupyterLab by the kernel's major version.
# Source: https://ipywidgets.readthedocs.io/en/stable/user_install.html
_FRONT = {"8": "3", "7": "1"}


def _widgets(e: Evidence) -> Finding | None:
    kernel = e.around.packages.get("ipywidgets", "")
    if not kernel:
        return None
    if e.around.notebook == "VS Code" and kernel == "8.1.9":
        sentence = "ipywidgets 8.1.9 renders nothing in VS Code; 8.1.8 does."
        return found("widgets-out-of-step", sentence, evidence={"ipywidgets": kernel, "front end": "VS Code"},
                     command="python -m pip install 'ipywidgets<8.1.9'")  # fmt: skip
    front = e.around.front_packages
    if front is None:
        return None
    has, needs = front.get("jupyterlab_widgets", ""), _FRONT.get(kernel.partition(".")[0], "")
    if needs and has.partition(".")[0] != needs:
        what = f"jupyterlab_widgets {has}" if has else "no jupyterlab_widgets"
        sentence = (
            f"The kernel has ipywidgets {kernel}, and JupyterLab runs with {what}: it needs {needs}.x there."
        )
        return found("widgets-out-of-step", sentence, evidence={"ipywidgets in the kernel": kernel, "in JupyterLab": what},
                     command=f"python -m pip install 'jupyterlab_widgets=={needs}.*'  # where JupyterLab runs")  # fmt: skip
    if e.around.packages.get("anywidget") and not front.get("anywidget"):
        sentence = "The kernel has anywidget, and the environment that JupyterLab runs in has not: tables stay blank."
        return found(
            "widgets-out-of-step",
            sentence,
            command="python -m pip install anywidget  # where JupyterLab runs",
        )
    return None


def _slow_crc(e: Evidence) -> Finding | None:
    if e.around.crc_extension is not False or e.size is None or e.size / _SLOW_RATE < _SLOW_SECONDS:
        return None
    return _crc_finding(e, f"; checking {e.size:,} bytes takes oss2 about {e.size / _SLOW_RATE:.0f} s longer")


def _crc_finding(e: Evidence, cost: str) -> Finding:
    sentence = f"crcmod runs without its C extension, so oss2's own check of a download is about 60 times slower{cost}."
    return found("crc-slow", sentence, evidence={"crcmod": e.around.packages.get("crcmod", "")})


# -- the list ------------------------------------------------------------------------------------------------------

_MACHINE, _SESSION, _INSTANCE, _METADATA, _ROLE, _WHO, _BUCKET, _OBJECT, _POLICIES = range(len(PROBES))


@dataclass(frozen=True)
class _Ruled:
    after: int
    rule: Rule


#: From the outside in. `after`: the probe that must have been before the rule's silence means anything.
RULES: tuple[_Ruled, ...] = tuple(
    _Ruled(after, rule)
    for after, rule in (
        (_SESSION, _proxy),
        (_INSTANCE, _instance_missing),
        (_INSTANCE, _instance_stopped),
        (_INSTANCE, _instance_classic),
        (_METADATA, _elsewhere),
        (_METADATA, _metadata_off),
        (_METADATA, _metadata_silent),
        (_METADATA, _token),
        (_METADATA, _client_without_token),
        (_METADATA, _agent_too_old),
        (_METADATA, _metadata_refuses),
        (_ROLE, _role_asked_missing),
        (_ROLE, _untrusted),
        (_ROLE, _pass_role),
        (_ROLE, _not_visible),
        (_ROLE, _no_role),
        (_ROLE, _other_role),
        (_WHO, _role_gone),
        (_WHO, _static_key),
        (_WHO, _expired),
        (_WHO, _bad_credential),
        (_WHO, _stale),
        (_WHO, _call_failed),
        (_BUCKET, _names),
        (_OBJECT, _object_failed),
        (_OBJECT, _bucket_missing),
        (_OBJECT, _key_missing),
        (_POLICIES, _refused),
        (_POLICIES, _sdk_too_old),
        (_POLICIES, _widgets),
        (_POLICIES, _slow_crc),
    )
)


def judge(e: Evidence, after: int = len(PROBES) - 1) -> list[Finding]:
    """Return the causes the evidence shows once the probes up to `after` have been, outermost first, each id once."""
    findings: dict[str, Finding] = {}
    for ruled in RULES:
        if ruled.after <= after and (told := ruled.rule(e)) is not None:
            findings.setdefault(told.cause, told)
    return list(findings.values())


def advice(e: Evidence) -> list[Finding]:
    """Return what is worth mending although it breaks nothing that was asked for."""
    if e.around.crc_extension is False and _slow_crc(e) is None:
        return [_crc_finding(e, "")]
    return []


def open_questions(e: Evidence, findings: list[Finding]) -> list[str]:
    """Return what stays open where no cause was found."""
    if findings:
        return []
    looks = {
        "this session's key": e.session,
        # The caller may not see it in ECS, and all the rest was seen.
        "the instance": None if e.credential is not None and e.credential.ok else e.instance,
        # Live, an object alone may be the session's own affair, wherever this runs.
        "the metadata service": e.metadata if _wants_role(e) else None,
        "the role's listing": e.listing if _wants_role(e) else None,
        "its credential": e.credential,
        "who the credential is": e.identity,
        "the object": e.object,
    }
    late = [f"{name} (no answer in time)" for name in e.late]
    return late + [f"{name}: {answer.said}" for name, answer in looks.items() if answer and not answer.ok]


assert {known.layer for known in CAUSES.values()} <= set(LAYERS)  # noqa: S101 - the tables belong together
