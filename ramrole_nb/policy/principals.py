"""Matching the Principal of a resource-based statement.

Trust policies: https://www.alibabacloud.com/help/en/ram/policy-elements. Bucket policies, where ``*`` and an
empty list mean everyone:
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements.
"""

from __future__ import annotations

from ramrole_nb.policy.documents import Principal
from ramrole_nb.policy.matching import matches, resource_match_state
from ramrole_nb.policy.model import PartState, Request
from ramrole_nb.policy.sentences import listed


def principal_state(principal: Principal, request: Request) -> tuple[PartState, str]:
    """Tell whether a Principal names the caller.

    Args:
        principal: the statement's.
        request: its ``principal`` and ``principal_ids`` are the caller's names: an ARN, a service, UIDs.

    Returns:
        ``matched``, ``failed`` or ``unknown``, and a sentence for the last two.
    """
    names = tuple(name for name in (request.principal, *request.principal_ids) if name)
    doubt = ""
    for state, entry in (
        *((_uid_state(entry, names), entry) for entry in principal.uid),
        *((_service_state(entry, names), entry) for entry in principal.service),
        *((_arn_state(entry, names), entry) for entry in principal.ram + principal.federated),
    ):
        if state:
            return "matched", ""
        if state is None:
            doubt = f"whether Principal {entry} names {names[0]} is not modelled"
    if doubt:
        return "unknown", doubt
    entries = principal.uid + principal.service + principal.ram + principal.federated
    caller = names[0] if names else "an anonymous caller"
    return "failed", f"Principal {listed(entries)} does not name {caller}"


def _uid_state(entry: str, names: tuple[str, ...]) -> bool | None:
    """Compare one entry of a bucket policy; a wildcard inside it is documented for role sessions only.

    ``arn:sts::<account>:assumed-role/<role>/<session>``, such as ``arn:sts::*:*/*/*``: https://github.com/AlibabaCloudDocs/oss
    (Console User Guide, Configure bucket policies to authorize other users to access OSS resources).
    """
    if entry == "*" or entry in names:
        return True
    if entry.startswith("arn:sts::"):
        return any(matches(entry, name) for name in names if name.startswith("arn:sts::"))
    return None if any(matches(entry, name) for name in names) else False


def _service_state(entry: str, names: tuple[str, ...]) -> bool | None:
    """Compare a service; ``<account>@<service>``, that service of another account, is not modelled."""
    services = [name.lower() for name in names if not name.startswith("acs:")]
    service = entry.lower()
    if service in services:
        return True
    if service.rpartition("@")[2] in services or any(matches(service, name) for name in services):
        return None
    return False


def _arn_state(entry: str, names: tuple[str, ...]) -> bool | None:
    """Compare an ARN; no document says whether wildcards work here, so a match through one is unknown."""
    states = [resource_match_state(entry, name) for name in names if name.startswith("acs:")]
    if True not in states:
        return None if None in states else False
    _, _, plain = entry.rpartition("acs:ram:*:")
    return None if "*" in plain or "?" in plain else True
