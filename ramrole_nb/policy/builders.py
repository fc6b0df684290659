"""Writing small policies: least privilege for one bucket, or for the calls that were seen.

The statements follow https://www.alibabacloud.com/help/en/ram/list-and-read-resources-in-a-bucket; actions
and resources of each call:
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ramrole_nb.policy.documents import dump, parse_policy
from ramrole_nb.policy.matching import resource_matches

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_WRITE_ACTIONS = ["oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"]


def read_objects(bucket: str, prefix: str = "") -> str:
    """Write a policy that lists and downloads objects of one bucket.

    Args:
        bucket: its name.
        prefix: only objects whose names begin so; end it with ``/`` to name a folder.

    Returns:
        JSON for CreatePolicy.

    Raises:
        ValueError: the bucket name or the prefix cannot be used; the message says why.
    """
    return _object_policy(bucket, prefix, ["oss:GetObject"])


def read_write_objects(bucket: str, prefix: str = "", *, delete: bool = False) -> str:
    """Write a policy that lists, downloads and uploads objects of one bucket, in parts too.

    Args:
        bucket: its name.
        prefix: only objects whose names begin so; end it with ``/`` to name a folder.
        delete: allow deleting objects as well.

    Returns:
        JSON for CreatePolicy.

    Raises:
        ValueError: the bucket name or the prefix cannot be used; the message says why.
    """
    removal = ["oss:DeleteObject"] if delete else []
    return _object_policy(bucket, prefix, ["oss:GetObject", *_WRITE_ACTIONS, *removal])


def bucket_list(bucket: str, prefix: str = "") -> str:
    """Write a policy that lists the names of one bucket's objects and reads none of them.

    Args:
        bucket: its name.
        prefix: only listings that ask for names beginning so.

    Returns:
        JSON for CreatePolicy.

    Raises:
        ValueError: the bucket name or the prefix cannot be used; the message says why.
    """
    check_bucket(bucket)
    check_prefix(prefix)
    return dump({"Version": "1", "Statement": [_listing(bucket, prefix)]})


def minimal_policy(observed: Iterable[tuple[str, str]]) -> str:
    """Write the smallest policy that allows exactly the calls seen.

    Resources that need the same actions share a statement, and what one resource's wildcards cover is not named
    again: whatever is taken out of the policy, some call fails. The order of ``observed`` makes no difference. A ``*``
    or ``?`` in an observed object name cannot be escaped in a policy, so it stays a wildcard there; a ``${`` would be
    read as a variable, so its first character becomes ``?``.

    Args:
        observed: pairs of action and resource, such as ``("oss:GetObject", "acs:oss:*:*:my-bucket/a.png")``.

    Returns:
        JSON for CreatePolicy.

    Raises:
        ValueError: nothing was observed, or a pair is no action and resource (then a
            MalformedPolicyDocument).
    """
    by_resource: dict[str, dict[str, str]] = {}
    for action, resource in _uncovered(
        {(action, resource.replace("${", "?{")) for action, resource in observed}
    ):
        by_resource.setdefault(resource, {}).setdefault(action.lower(), action)
    if not by_resource:
        raise ValueError("no call was observed, so there is nothing to allow")
    groups: dict[frozenset[str], list[str]] = {}
    for resource, actions in by_resource.items():
        groups.setdefault(frozenset(actions), []).append(resource)
    spelling = {lower: name for actions in by_resource.values() for lower, name in actions.items()}
    statements = sorted(
        (
            {
                "Effect": "Allow",
                "Action": sorted(spelling[name] for name in actions),
                "Resource": sorted(resources),
            }
            for actions, resources in groups.items()
        ),
        key=lambda statement: (statement["Action"], statement["Resource"]),
    )
    text = dump({"Version": "1", "Statement": statements})
    parse_policy(text)
    return text


def _uncovered(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out each pair whose resource another pair of the same action covers; sorted."""
    kept = sorted(pairs)
    by_action: dict[str, list[str]] = {}
    for action, resource in kept:
        by_action.setdefault(action.lower(), []).append(resource)
    needed: dict[str, set[str]] = {}
    for action, resources in by_action.items():
        left = list(dict.fromkeys(resources))
        for resource in list(left):
            # Only a wildcard, or a role's letter case, makes one resource cover another.
            if any(other != resource and _covers(other, resource) for other in left):
                left.remove(resource)
        needed[action] = set(left)
    return [(action, resource) for action, resource in kept if resource in needed[action.lower()]]


def _covers(other: str, resource: str) -> bool:
    plain = "*" not in other and "?" not in other
    if plain and other.lower() != resource.lower():
        return False
    return resource_matches(other, resource)


def check_bucket(bucket: str) -> None:
    """Raise ValueError with the naming rule unless ``bucket`` is a valid bucket name.

    Rule: https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions
    """
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            f"{bucket!r} is no bucket name: 3 to 63 lower-case letters, digits and hyphens, "
            "beginning and ending with a letter or digit"
        )


def check_prefix(prefix: str) -> None:
    """Raise ValueError with the reason unless ``prefix`` can begin an object name in a policy.

    Rule: https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions
    """
    if prefix.startswith(("/", "\\")):
        raise ValueError(f"object names do not begin with / or \\; write {prefix.lstrip('/' + chr(92))!r}")
    if any(sign in prefix for sign in ("*", "?", "${")):
        raise ValueError(
            f"{prefix!r}: *, ? and ${{ have a meaning of their own in a policy; leave them out (* is added)"
        )
    if len(prefix.encode()) > 1023:
        raise ValueError("object names are at most 1023 bytes long in UTF-8")


def _object_policy(bucket: str, prefix: str, actions: list[str]) -> str:
    check_bucket(bucket)
    check_prefix(prefix)
    objects = {"Effect": "Allow", "Action": actions, "Resource": [f"acs:oss:*:*:{bucket}/{prefix}*"]}
    return dump({"Version": "1", "Statement": [objects, _listing(bucket, prefix)]})


def _listing(bucket: str, prefix: str) -> dict[str, object]:
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Action": ["oss:ListObjects"],
        "Resource": [f"acs:oss:*:*:{bucket}"],
    }
    if prefix:
        statement["Condition"] = {"StringLike": {"oss:Prefix": [f"{prefix}*"]}}
    return statement
