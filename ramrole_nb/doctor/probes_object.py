"""Looks at the bucket, at one byte of the object, and at the policies behind a refusal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from ..cloud.calls import Calls
from ..cloud.context import Context
from ..cloud.looks import first_byte, first_keys, oss_at
from ..cloud.objects import Buckets
from ..cloud.preflight import Preflight
from ..errors import NotFound, RamroleError
from ..policy import MalformedPolicyDocument, NamedDocument, parse_policy
from .evidence import Answer, answered
from .looking import TIMEOUTS_MS, Look, Told, no_session, state_of
from .probes_instance import signer_of

__all__ = ["look_at_bucket", "look_at_object", "look_at_policies", "no_bucket", "no_object", "no_refusal"]

_OSS_SECONDS = (1.5, 2.5)
_MOST_KEYS = 1_000

# -- bucket and object ---------------------------------------------------------------------------------------------


def no_bucket(look: Look) -> str:
    """Return why the bucket is not looked up; empty: it is."""
    if not look.seen.asked.bucket:
        return "no object was named"
    return no_session(look)


def look_at_bucket(look: Look) -> Told:
    """Find the bucket among those of the account."""
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


def no_object(look: Look) -> str:
    """Return why the object is not asked for; empty: it is."""
    asked = look.seen.asked
    if not asked.bucket:
        return "no object was named"
    if asked.key.startswith(("/", "\\")) or not _BUCKET.fullmatch(asked.bucket):
        return "the name cannot be one"
    return "" if signer_of(look)[0] is not None else "there is no credential to ask with"


_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def look_at_object(look: Look) -> Told:
    """Read one byte of the object, or list one key, as the program would."""
    seen, context = look.seen, look.context
    asked, endpoints = seen.asked, context.endpoints
    provider, signer = signer_of(look)
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
        calls = Calls(endpoints, region, provider, context.wire, signer, TIMEOUTS_MS)
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
    return (
        state_of(answer),
        f"{'list' if asked.lists else 'read'} at {url} as {signer}: {answer.said}",
        fields,
    )


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
        calls = Calls(context.endpoints, region, who, context.wire, "the doctor", TIMEOUTS_MS)
        try:
            return tuple(first_keys(calls, bucket, limit=_MOST_KEYS))
        except RamroleError:
            continue
    return ()


# -- the policies behind a refusal ---------------------------------------------------------------------------------


def no_refusal(look: Look) -> str:
    """Return why no policies are read; empty: they are."""
    answer = look.seen.object
    if answer is None or answer.ok or answer.status != 403 or answer.endpoint:
        return "nothing was refused"
    return no_session(look)


def look_at_policies(look: Look) -> Told:
    """Read the policies of whoever was refused, and those of the bucket."""
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
