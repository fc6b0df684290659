"""Rules about the endpoint, the bucket, the object, and the policies behind a refusal."""

from __future__ import annotations

import difflib
import re
import shlex
import time

from ..errors import nearest
from ..policy import Decision, Outcome, Request, Statement, action_matches, evaluate, resource_matches
from .causes import CAUSES
from .evidence import Answer, Evidence
from .findings import Finding, found
from .rules import facts_of, lower, role_in, said_by

# -- bucket and object ---------------------------------------------------------------------------------------------


def names(e: Evidence) -> Finding | None:
    """The name of the bucket or the key cannot be one."""
    key, bucket = e.asked.key, e.asked.bucket
    if key.startswith(("/", "\\")):
        right = key.lstrip("/\\")
        sentence = f"A key does not begin with a slash: {right!r} is meant, not {key!r}."
        return found("object-name-invalid", sentence, {**facts_of(e), "key": right}, {"asked for": key})
    if (
        bucket
        and e.object is None
        and e.buckets is not None
        and bucket not in e.buckets
        and not bucket.islower()
    ):
        return found("bucket-name-invalid", "", facts_of(e), {"asked for": bucket})
    return None


def bucket_missing(e: Evidence) -> Finding | None:
    """There is no such bucket."""
    if e.object is None or e.object.cause != "bucket-not-found":
        return None
    near = nearest(e.asked.bucket, e.buckets or ())
    sentence = f"There is no bucket {e.asked.bucket!r}.{near}"
    meant = re.search(r"'([^']+)'\?$", near)
    return found(
        "bucket-not-found",
        sentence,
        facts_of(e),
        {"buckets": ", ".join((e.buckets or ())[:20]), **said_by(e.object)},
        call=f"cloud.buckets[{meant[1]!r}]" if meant else None,
    )


def key_missing(e: Evidence) -> Finding | None:
    """There is no such object; a near one is named."""
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
    seen = {"near": ", ".join(near), **said_by(e.object)}
    return found("object-not-found", sentence, facts_of(e), seen, call=call, command=command)


def object_failed(e: Evidence) -> Finding | None:
    """Where the object call's answer names its cause: endpoint, signature, credential, clock, bytes."""
    answer = e.object
    if answer is None or answer.ok or not answer.cause or CAUSES[answer.cause].layer == "policy":
        return None
    if answer.cause in ("object-not-found", "bucket-not-found"):
        return None
    facts, seen = facts_of(e), {"endpoint": e.endpoint, "signed by": e.signer, **said_by(answer)}
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


def refused(e: Evidence) -> Finding | None:
    """A policy refuses: which statement of which, or what else can."""
    answer = e.object
    if answer is None or answer.ok or not answer.cause or CAUSES[answer.cause].layer != "policy":
        return None
    request, decision = _request(e), decide(e)
    call = f"{request.action} on {request.resource.rpartition(':')[2]}"
    who = e.signer or "the caller"
    seen = {"refused": f"{call} to {who}", **said_by(answer)}
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
            facts_of(e),
            {**seen, "its own policies": decision.because if decision else ""},
        )
    if decision is None:
        return found(answer.cause, f"OSS refused {call} to {who}.", facts_of(e), seen)
    seen["deciding statement"] = decision.because
    if decision.outcome is Outcome.EXPLICIT_DENY and decision.matched is not None:
        row = decision.matched
        if row.policy_type == "Bucket":
            sentence = f"The bucket's own policy denies {call}: {row.place}."
            return found("bucket-policy", sentence, facts_of(e), seen)
        sentence = f"{row.place} explicitly denies {call} to {who}; a Deny always wins."
        return found("explicit-deny", sentence, {**facts_of(e), "policy": row.policy}, seen)
    if service == "implicit" and decision.outcome is Outcome.IMPLICIT_DENY:
        if (wrong := _wrong_form(e, request)) is not None:
            return _form_finding(e, request, wrong, seen)
        sentence = f"No policy of {who} allows {call}."
        return found(
            "permission-missing", sentence, facts_of(e), seen, call=_grant(e), command=_grant_by_cli(e)
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
    role = role_in(e) or e.listed
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
    return found("resource-form-wrong", sentence, {**facts_of(e), "policy": policy}, seen, call=_grant(e))


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
        return found("access-denied", sentence, facts_of(e), seen)
    cause = answer.cause if answer.cause != "bucket-policy" else "explicit-deny"
    return found(cause, f"OSS refused {call} to {who}; {lower(decision.because)}", facts_of(e), seen)
