"""The smallest policy: for the calls that were seen, or for a need said in words.

Whatever is taken out of such a policy, some call fails (`minimal_policy` in `ramrole_nb.policy.builders` sees to that);
nothing in it covers a call that was not asked for, but for what a policy cannot say (a ``*`` in an object's name).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramrole_nb.policy.builders import check_bucket, check_prefix, minimal_policy
from ramrole_nb.policy.documents import dump, parse_policy
from ramrole_nb.policy.known import near

__all__ = ["Smallest", "asked_by", "from_calls", "needs"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class Smallest:
    """The smallest policy for what was seen.

    `document` is its JSON (empty where no call needs a permission), `calls` the pairs of action and resource that it
    allows, `left_out` says of the other calls why they count for nothing.
    """

    document: str
    calls: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.document


def from_calls(calls: Iterable[Any], *, refused: bool = False) -> Smallest:
    """Write the smallest policy that allows the calls seen.

    Args:
        calls: what `cloud.wire` holds (with the sandbox's decisions, or live), entries of the sandbox's journal (mappings
            with ``decisions``), or pairs of action and resource.
        refused: count the calls that were refused too, so that the policy allows what was tried.

    Returns:
        The policy, the pairs it allows, and what was left out.

    Raises:
        ValueError: an entry is none of these.
    """
    pairs: dict[Pair, None] = {}
    left_out: dict[str, None] = {}
    for call in calls:
        for action, resource, allowed, name in _asked(call):
            if not action:
                left_out[f"{name}: it needs no permission, or which one is not known here"] = None
            elif not allowed and not refused:
                left_out[f"{action} on {resource}: it was refused"] = None
            else:
                pairs[action, resource] = None
    document = minimal_policy(pairs) if pairs else ""
    return Smallest(document, tuple(pairs), tuple(left_out))


def asked_by(call: Any) -> tuple[Pair, ...]:
    """Return the pairs of action and resource that one entry (as for `from_calls`) asked for; none where not known."""
    return tuple((action, resource) for action, resource, _, _ in _asked(call) if action)


def _asked(call: Any) -> Iterable[tuple[str, str, bool, str]]:
    """Return (action, resource, allowed, name) of what one entry asked for; an empty action where that is not known."""
    if isinstance(call, Mapping):
        name = f"{call.get('service', '')}:{call.get('operation', '')}"
        return _of_decisions(call.get("decisions") or (), name)
    if isinstance(call, Sequence) and not isinstance(call, str) and len(call) == 2:
        return [(str(call[0]), str(call[1]), True, str(call[0]))]
    if not hasattr(call, "action") or not hasattr(call, "params"):
        raise ValueError(
            f"{call!r} is no call: give entries of cloud.wire, of the journal, or (action, resource) pairs"
        )
    name = f"{call.service}:{call.action}"
    if decided := (call.decision or {}).get("all"):
        return _of_decisions(decided, name)
    return [(action, resource, call.ok, name) for action, resource in _of_operation(call) or [("", "")]]


def _of_decisions(decisions: Sequence[Mapping[str, Any]], name: str) -> Iterable[tuple[str, str, bool, str]]:
    found = [(str(d["action"]), str(d["resource"]), d.get("outcome") == "ALLOW", name) for d in decisions]
    return found or [("", "", True, name)]


# OSS operations -> (action, whether it works on the object). Live, where no journal says what was asked:
# https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements
_OSS = {
    "GetObject": ("oss:GetObject", True),
    "HeadObject": ("oss:GetObject", True),
    "GetObjectMeta": ("oss:GetObject", True),
    "PutObject": ("oss:PutObject", True),
    "AppendObject": ("oss:PutObject", True),
    "InitiateMultipartUpload": ("oss:PutObject", True),
    "UploadPart": ("oss:PutObject", True),
    "CompleteMultipartUpload": ("oss:PutObject", True),
    "AbortMultipartUpload": ("oss:AbortMultipartUpload", True),
    "ListParts": ("oss:ListParts", True),
    "DeleteObject": ("oss:DeleteObject", True),
    "GetObjectAcl": ("oss:GetObjectAcl", True),
    "ListObjects": ("oss:ListObjects", False),
    "ListObjectsV2": ("oss:ListObjects", False),
    "ListMultipartUploads": ("oss:ListMultipartUploads", False),
    "GetBucketInfo": ("oss:GetBucketInfo", False),
    "GetBucketLocation": ("oss:GetBucketLocation", False),
    "GetBucketAcl": ("oss:GetBucketAcl", False),
    "GetBucketStat": ("oss:GetBucketStat", False),
    "GetBucketPolicy": ("oss:GetBucketPolicy", False),
}


def _of_operation(call: Any) -> list[Pair]:
    """Return what an OSS call needs, read from its operation and parameters."""
    if str(call.service).lower() != "oss":
        return []
    if call.action in ("ListBuckets", "GetService"):
        return [("oss:ListBuckets", "acs:oss:*:*:*")]
    known, bucket = _OSS.get(call.action), str(call.params.get("bucket", ""))
    if known is None or not bucket:
        return []
    action, on_object = known
    key = str(call.params.get("key", "") or call.params.get("object", ""))
    if on_object and not key:
        return []
    return [(action, f"acs:oss:*:*:{bucket}" + (f"/{key}" if on_object else ""))]


# -- needs in words ------------------------------------------------------------------------------------------

_FORMS = (
    "list oss://BUCKET/PREFIX",
    "read oss://BUCKET/PREFIX",
    "write oss://BUCKET/PREFIX",
    "delete oss://BUCKET/PREFIX",
    "list buckets",
    "attach role ROLE",
    "assume role ROLE",
)
_VERBS = {
    "list": (),
    "read": ("oss:GetObject",),
    "write": ("oss:PutObject",),
    "delete": ("oss:DeleteObject",),
}
_SAME = {
    "download": "read",
    "get": "read",
    "upload": "write",
    "put": "write",
    "remove": "delete",
    "ls": "list",
}
_OSS_URL = re.compile(r"oss://([^/\s]+)(?:/(.*))?")
_ROLE = re.compile(r"[A-Za-z0-9.\-]{1,64}")


def needs(*wishes: str) -> str:
    """Write the smallest policy for needs said in words.

    The words: ``list``, ``read``, ``write`` or ``delete`` with ``oss://bucket/prefix`` (a name that ends in ``/`` or
    ``*``, or no name at all: all objects that begin so; else that one object), ``list buckets``, ``attach role NAME``
    (to instances), ``assume role NAME``. ``read`` does not list; ask for both.

        >>> print(needs("read oss://my-bucket/photos/"))
        {"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],"Resource":["acs:oss:*:*:my-bucket/photos/*"]}]}

    Args:
        wishes: one or more.

    Returns:
        JSON for CreatePolicy.

    Raises:
        ValueError: a need is not understood; the message names the nearest form.
    """
    if not wishes:
        raise ValueError(f"say what is needed: {'; '.join(_FORMS)}")
    plain: dict[Pair, None] = {}
    others: list[dict[str, Any]] = []
    for wish in wishes:
        pairs, statements = _understood(wish)
        plain.update(dict.fromkeys(pairs))
        others += [statement for statement in statements if statement not in others]
    written = (
        parse_policy(minimal_policy(plain)).to_json() if plain else dump({"Version": "1", "Statement": []})
    )
    if not others:
        return written
    head = written[: written.rindex("]}")]
    joined = ",".join(dump(statement) for statement in others)
    text = f"{head}{',' if plain else ''}{joined}]}}"
    parse_policy(text)
    return text


def _understood(wish: str) -> tuple[list[Pair], list[dict[str, Any]]]:
    """Return the plain pairs of one need, and the statements that a pair cannot say (they have a condition)."""
    verb, _, rest = " ".join(wish.split()).partition(" ")
    verb = _SAME.get(verb.lower(), verb.lower())
    if verb == "list" and rest.lower() in ("buckets", "oss://"):
        return [("oss:ListBuckets", "acs:oss:*:*:*")], []
    role = rest[len("role ") :] if rest.lower().startswith("role ") else ""
    if verb in ("attach", "assume") and _ROLE.fullmatch(role):
        return _role(verb, role)
    found = _OSS_URL.fullmatch(rest)
    if verb not in _VERBS or found is None:
        close = near(wish, _FORMS, 0.3)
        said = repr(close) if close else f"one of: {'; '.join(_FORMS)}"
        raise ValueError(f"{wish!r} is not understood; say {said}")
    bucket, name = found[1], found[2] or ""
    check_bucket(bucket)
    star = name.endswith("*")
    name = name.removesuffix("*")
    check_prefix(name)
    if verb == "list":
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": ["oss:ListObjects"],
            "Resource": [f"acs:oss:*:*:{bucket}"],
        }
        if not name:
            return [("oss:ListObjects", f"acs:oss:*:*:{bucket}")], []
        return [], [{**statement, "Condition": {"StringLike": {"oss:Prefix": [f"{name}*"]}}}]
    many = star or not name or name.endswith("/")
    return [(action, f"acs:oss:*:*:{bucket}/{name}{'*' if many else ''}") for action in _VERBS[verb]], []


def _role(verb: str, role: str) -> tuple[list[Pair], list[dict[str, Any]]]:
    arn = f"acs:ram:*:*:role/{role}"
    if verb == "assume":
        return [("sts:AssumeRole", arn)], []
    # Attaching asks for the action on the instance and on the role, and for passing the role:
    # https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole
    passing = {"Effect": "Allow", "Action": ["ram:PassRole"], "Resource": [arn]}
    for_ecs = {"Condition": {"StringEquals": {"acs:Service": ["ecs.aliyuncs.com"]}}}
    pairs = [("ecs:AttachInstanceRamRole", "acs:ecs:*:*:instance/*"), ("ecs:AttachInstanceRamRole", arn)]
    return pairs, [{**passing, **for_ecs}]
