"""The cases: what is broken in each, what its user says, hints and a way to mend it.

`cause` is the true cause, an id of `doctor.causes`; `breaks` breaks a world that is in order. `mend` is shown and run as
the solution, with `cloud`, `case`, `policy`, and the names `vm` (the instance) and `role` ("gym-reader").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..policy import trust_for_service
from .program import BUCKET, KEY, READER
from .world import OTHER, World

__all__ = ["PAIRS", "SHEETS", "Sheet"]

_OBJECTS = f"acs:oss:*:*:{BUCKET}/*"


@dataclass(frozen=True)
class Sheet:
    """One case. `difficulty` is 1 to 3; `program` what differs from a program in order; `faults` sandbox faults."""

    name: str
    symptom: str
    cause: str
    difficulty: int
    hints: tuple[str, ...]
    mend: str
    why: str
    program: Mapping[str, Any] = field(default_factory=dict)
    breaks: Callable[[World], None] | None = None
    faults: tuple[str, ...] = ()
    on: str = ""
    knows_bucket_policy: bool = False


def _allow(action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def _other_role(world: World) -> None:
    world.role(OTHER)
    world.detach()
    world.attach(OTHER)


def _narrowed(world: World) -> None:
    world.detach()
    world.attach(READER, {"Version": "1", "Statement": [_allow("oss:ListObjects", "*")]})


def _denying_bucket(world: World) -> None:
    statement = {"Effect": "Deny", "Action": ["oss:GetObject"], "Principal": ["*"], "Resource": [_OBJECTS]}
    world.bucket_policy({"Version": "1", "Statement": [statement]})


def _denying_policy(world: World) -> None:
    denied = {"Effect": "Deny", "Action": "oss:GetObject", "Resource": f"acs:oss:*:*:{BUCKET}/testfolder/*"}
    world.grant("gym-house-rules", denied)


def _trust_people(world: World) -> None:
    world.trust(trust_for_service("fc.aliyuncs.com"))


def _untrusted_and_off(world: World) -> None:
    world.detach()
    _trust_people(world)


_READ_AGAIN = "cloud.roles[role].grant(policy.read_objects('sandbox-photos', 'testfolder/'))"
_LIST = {"does": "list", "key": "testfolder/"}
_ATTACH = {"does": "attach", "role": READER, "user": "operator"}
_WAITING = "Nothing of yours is wrong. In the real cloud one waits, with growing pauses; here the fault is switched off."


def _over(fault: str) -> str:
    return f"cloud.sandbox.fault({fault!r}, False)  # in the real cloud: wait, then try again"


SHEETS: tuple[Sheet, ...] = (
    # -- in the program ------------------------------------------------------------------------------------------
    Sheet(
        "night-shift", "404 NoSuchKey: the picture is there, says everyone", "object-not-found", 1,
        ("404 is not about permissions.", "Compare the key with what the bucket lists, letter by letter.",
         "Keys are case-sensitive."),
        f"case.set(key={KEY!r})", "The program spells the key with capital letters; keys are case-sensitive.",
        {"key": "TestFolder/Example.png"},
    ),
    Sheet(
        "new-colleague", "404 NoSuchKey since somebody retyped the program", "object-not-found", 1,
        ("Read the key aloud.", "cloud.buckets['sandbox-photos'].list('testfolder/') shows what there is."),
        f"case.set(key={KEY!r})", "Two letters of the key are swapped.", {"key": "testfolder/exmaple.png"},
    ),
    Sheet(
        "copied-path", "400 on a path copied from a file manager", "object-name-invalid", 1,
        ("A key is no path.", "Look at the key's first character."),
        f"case.set(key={KEY!r})", "A key does not begin with a slash.", {"key": f"/{KEY}"},
    ),
    Sheet(
        "old-readme", "404 NoSuchBucket, as the README says", "bucket-not-found", 1,
        ("Which buckets are there? cloud.buckets", "One letter is missing."),
        f"case.set(bucket={BUCKET!r})", "The bucket's name is misspelt.", {"bucket": "sandbox-photo"},
    ),
    Sheet(
        "capital-idea", "the SDK refuses before it asks anyone", "bucket-name-invalid", 1,
        ("No request was made: it is the name itself.", "Bucket names are lower-case."),
        f"case.set(bucket={BUCKET!r})", "A bucket's name has lower-case letters only.", {"bucket": "Sandbox-Photos"},
    ),
    Sheet(
        "moving-house", "403 AccessDenied: must be addressed using the specified endpoint", "endpoint-wrong-region", 2,
        ("Not every AccessDenied is about permissions.", "Where is the bucket? cloud.buckets says."),
        "case.set(endpoint='oss-cn-beijing-internal.aliyuncs.com')",
        "The program asks the endpoint of another region than the bucket's.",
        {"endpoint": "oss-cn-hangzhou.aliyuncs.com"},
    ),
    Sheet(
        "long-name", "the credentials tool gets 404 for the role", "role-name-wrong", 1,
        ("The metadata service has no role of that name.", "Compare: cloud.instances[...].role_name."),
        "case.set(role='gym-reader')", "The program names a role that is not the instance's.",
        {"role": "gym-raeder"},
    ),
    Sheet(
        "two-of-three", "403 InvalidAccessKeyId with a key that is valid", "security-token-missing", 2,
        ("A temporary credential has three parts.", "Count what the program hands over."),
        "case.set(token=True)", "The program leaves the security token out.", {"token": False},
    ),
    Sheet(
        "heirloom", "an old program gets 403 from the metadata service", "client-without-token", 2,
        ("Which mode does the instance answer in?", "oss2's own provider asks without a token.",
         "Another provider, not another mode, is the better way."),
        "case.set(provider='sdk')", "oss2's provider knows normal mode only, and the instance is hardened.",
        {"provider": "oss2", "role": READER}, on="hardened-1",
    ),
    Sheet(
        "last-century", "403: the signature version is refused", "signature-v1-refused", 2,
        ("It is not the secret that is wrong.", "How does the program sign? V1 is refused to new accounts."),
        "case.set(signature='V4')", "OSS refuses signature V1 here.", {"signature": "V1"},
        faults=("signature-v1-refused",),
    ),
    Sheet(
        "front-door", "400 on the public endpoint", "public-endpoint-forbidden", 2,
        ("The bucket and the role are in order; the address is not.", "On ECS there is an internal endpoint."),
        "case.set(endpoint='oss-cn-beijing-internal.aliyuncs.com')",
        "Public endpoints are closed to this account; the internal one is open.",
        {"endpoint": "oss-cn-beijing.aliyuncs.com"}, faults=("public-endpoint-forbidden",),
    ),
    Sheet(
        "spelling-bee", "attaching fails: the role does not exist", "role-not-found", 1,
        ("Which roles are there? cloud.roles", "Two letters are swapped."),
        "case.set(role='gym-reader')", "The program names a role that does not exist.",
        {**_ATTACH, "role": "gym-raeder"}, lambda world: world.detach(),
    ),
    Sheet(
        "museum-piece", "attaching is refused for one instance only", "classic-network", 2,
        ("What is different about this instance? cloud.instances", "Look at its network."),
        "case.set(instance='hardened-1')", "An instance in the classic network can have no RAM role.",
        {**_ATTACH, "instance": "classic-1"}, lambda world: world.detach(), on="hardened-1",
    ),
    # -- the role and the instance -------------------------------------------------------------------------------
    Sheet(
        "fresh-start", "no credential at all: 404", "no-role-attached", 1,
        ("Who is the program, without a role?", "vm.role_name says which role the instance has."),
        "vm.attach(role)", "The instance had no role.", breaks=lambda world: world.detach(),
    ),
    Sheet(
        "changing-places", "404 for the role since last week's maintenance", "role-name-wrong", 2,
        ("The program names its role. Does the instance have that one?", "vm.replace_role(...) switches."),
        "vm.replace_role(role)", "The instance had another role than the program names.", {"role": READER}, _other_role,
    ),
    Sheet(
        "broken-promise", "no credential, though the role is attached", "trust-without-ecs", 2,
        ("Attached is not enough: somebody has to be allowed to assume it.", "cloud.roles[role].trust_policy"),
        "cloud.roles[role].set_trust(policy.trust_for_service('ecs.aliyuncs.com'))",
        "The role's trust policy no longer named ecs.aliyuncs.com.", breaks=_trust_people,
    ),
    Sheet(
        "not-for-you", "attaching is refused for a role that exists", "trust-without-ecs", 2,
        ("Who may assume the role?", "Its trust policy names another service."),
        "cloud.roles[role].set_trust(policy.trust_for_service('ecs.aliyuncs.com'))",
        "The role did not trust ECS.", _ATTACH, _untrusted_and_off,
    ),
    Sheet(
        "spring-cleaning", "the role is attached, and serves nothing", "role-deleted", 2,
        ("Does the role exist? cloud.roles", "An attachment outlives its role."),
        "vm.detach()\nmade = cloud.roles.create(role)\n"
        "made.grant(policy.read_objects('sandbox-photos', 'testfolder/'))\nvm.attach(made)",
        "The role was deleted while it was attached.", breaks=lambda world: world.delete_role(),
    ),
    Sheet(
        "locked-cellar", "403 from the metadata service for every request", "metadata-disabled", 2,
        ("Neither mode gets an answer.", "Look at the instance's metadata options: vm.http_endpoint"),
        "vm.set_metadata(True)", "The instance's metadata service was switched off.",
        breaks=lambda world: world.options(http_endpoint="disabled"),
    ),
    # -- policies ------------------------------------------------------------------------------------------------
    Sheet(
        "empty-hands", "403 AccessDenied, ImplicitDeny", "permission-missing", 1,
        ("Nothing allows it. What does the role hold?", "cloud.roles[role].policies()"),
        _READ_AGAIN, "The role held no policy.", breaks=lambda world: world.revoke(),
    ),
    Sheet(
        "next-door", "403 AccessDenied: the role reads, but not this", "permission-missing", 2,
        ("It holds a policy. For which objects?", "Compare the resource's prefix with the key."),
        _READ_AGAIN, "The role's policy is for another folder.",
        breaks=lambda world: world.only("gym-photos", _allow("oss:GetObject", f"acs:oss:*:*:{BUCKET}/private/*")),
    ),
    Sheet(
        "window-shopping", "403 AccessDenied on a listing; downloads work", "permission-missing", 2,
        ("Listing is another action than reading.", "oss:ListObjects is asked of the bucket."),
        _READ_AGAIN, "The role may read objects, not list them.", _LIST,
        lambda world: world.only("gym-photos", _allow("oss:GetObject", _OBJECTS)),
    ),
    Sheet(
        "house-rules", "403 AccessDenied, ExplicitDeny", "explicit-deny", 2,
        ("Something allows it, and something else forbids it. Which one wins?", "A Deny always wins: find it."),
        "cloud.roles[role].revoke('gym-house-rules')", "A second policy denied it, and a Deny always wins.",
        breaks=_denying_policy,
    ),
    Sheet(
        "short-leash", "403 AccessDenied, and the role's policies allow it", "session-policy", 3,
        ("The role may; this session may not.", "What is given when attaching, and shown nowhere?"),
        "vm.detach()\nvm.attach(role)", "A session policy given with the attachment left oss:GetObject out.",
        breaks=_narrowed,
    ),
    Sheet(
        "landlord", "403 AccessDenied, whoever asks", "bucket-policy", 3,
        ("The role's policies are not the only ones that count.", "The bucket has a policy of its own."),
        "cloud.buckets['sandbox-photos'].client().delete_bucket_policy()",
        "The bucket's own policy denied oss:GetObject to everybody.", breaks=_denying_bucket, knows_bucket_policy=True,
    ),
    Sheet(
        "missing-star", "403 AccessDenied with a policy for this very bucket", "resource-form-wrong", 2,
        ("Action and bucket are right.", "An object's resource is bucket/key; what does the policy say?"),
        _READ_AGAIN, "The policy allows oss:GetObject on the bucket, not on its objects.",
        breaks=lambda world: world.only("gym-photos", _allow("oss:GetObject", f"acs:oss:*:*:{BUCKET}")),
    ),
    Sheet(
        "one-star-too-many", "403 AccessDenied on a listing with oss:ListObjects granted", "resource-form-wrong", 3,
        ("Of what is a listing asked, of objects or of the bucket?", "The resource must be the bucket itself."),
        _READ_AGAIN, "The policy allows oss:ListObjects on bucket/*, and a listing is asked of the bucket.", _LIST,
        lambda world: world.only("gym-photos", _allow("oss:ListObjects", _OBJECTS)),
    ),
    Sheet(
        "no-baton", "attaching is refused to a user who may attach", "pass-role-missing", 3,
        ("ecs:AttachInstanceRamRole is there. What else is asked?", "Handing a role to a service is ram:PassRole."),
        "cloud.sandbox.fault('passrole-removed', False)  # in the console: grant operator ram:PassRole",
        "The user may attach roles, and lacks ram:PassRole.", _ATTACH, lambda world: world.detach(),
        faults=("passrole-removed",),
    ),
    # -- the services --------------------------------------------------------------------------------------------
    Sheet(
        "stale-bread", "403: the security token has expired", "credential-expired", 2,
        ("The credential is as served. Look at its expiry.", "The program cannot help it: the service must renew."),
        _over("credentials-expired"), "The metadata service served an expired credential. " + _WAITING,
        faults=("credentials-expired",),
    ),
    Sheet(
        "odd-socks", "403, with a key and a token that are both genuine", "credential-mixed", 3,
        ("Do key and token belong together?", "They came in one answer: it is not the program that mixed them."),
        _over("credentials-mixed"), "The key was of one credential and the token of another. " + _WAITING,
        faults=("credentials-mixed",),
    ),
    Sheet(
        "wrong-time", "403 RequestTimeTooSkewed", "clock-skew", 1,
        ("Signatures carry a time.", "Which clock differs, and by how much?"),
        "cloud.sandbox.fault('clock-skew', False)  # on the instance: chronyc makestep",
        "The clocks of program and service are an hour apart.", faults=("clock-skew",),
    ),
    Sheet(
        "rush-hour", "Throttling.User on a simple listing", "throttled", 1,
        ("It is not forbidden, only too much.", "Who else calls the same API?"),
        _over("throttling"), "The account called too often. " + _WAITING,
        {"does": "describe"}, faults=("throttling",),
    ),
    Sheet(
        "confiscated", "InvalidAccessKeyId on the administrator's desk", "access-key-disabled", 2,
        ("The key exists. Is it active?", "RAM console > Users > the user > AccessKey"),
        "cloud.sandbox.fault('access-key-disabled', False)  # in the console: enable the AccessKey",
        "The user's AccessKey was disabled.", {"does": "describe"}, faults=("access-key-disabled",),
    ),
    Sheet(
        "rainy-day", "500 InternalError on every download", "service-failed", 1,
        ("5xx is the service's own fault.", "Keep the request id for a ticket."),
        _over("oss-500"), "OSS itself failed. " + _WAITING, faults=("oss-500",),
    ),
    Sheet(
        "too-curious", "429 from the metadata service", "metadata-throttled", 2,
        ("The metadata service has limits.", "A credential is good for hours: keep it."),
        _over("imds-throttled"), "The metadata service was asked too often. " + _WAITING, faults=("imds-throttled",),
    ),
    Sheet(
        "unknown-guest", "403 InvalidSecurityToken", "security-token-invalid", 2,
        ("The token came from the metadata service as it should.", "Who does not recognise it?"),
        _over("token-invalid"), "The services did not recognise the security token. " + _WAITING,
        faults=("token-invalid",),
    ),
)  # fmt: skip

#: Two faults that can be seen together, by name; each is found beside the other.
PAIRS: tuple[tuple[str, str], ...] = (
    ("copied-path", "fresh-start"),
    ("copied-path", "broken-promise"),
    ("copied-path", "locked-cellar"),
    ("capital-idea", "broken-promise"),
    ("long-name", "broken-promise"),
    ("long-name", "locked-cellar"),
    ("long-name", "empty-hands"),
    ("long-name", "house-rules"),
    ("changing-places", "locked-cellar"),
)
