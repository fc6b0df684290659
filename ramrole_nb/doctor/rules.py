"""What the rules have in common: the names of a case, and how an answer is shown."""

from __future__ import annotations

from collections.abc import Callable

from .evidence import Answer, Evidence
from .findings import Finding

__all__ = ["Rule", "facts_of", "lower", "means_instance", "role_in", "said_by", "vm_of", "wants_role"]

Rule = Callable[[Evidence], Finding | None]


def facts_of(e: Evidence) -> dict[str, str]:
    """Return what fills in the fixes."""
    role = e.asked.role or e.listed or e.attached or e.role_name or role_in(e)
    return {
        "role": role,
        "instance": e.instance_id or e.asked.instance,
        "region": e.region or e.bucket_region,
        "bucket": e.asked.bucket,
        "key": e.asked.key,
        "endpoint": e.endpoint.rpartition("://")[2],
    }


def role_in(e: Evidence) -> str:
    """Return the role of an assumed role's ARN (empty: it is none)."""
    return e.principal.partition(":assumed-role/")[2].partition("/")[0]


def vm_of(e: Evidence) -> str:
    """Return how sentences name the instance."""
    return e.instance_id or e.asked.instance or "this machine"


def means_instance(e: Evidence) -> bool:
    """Tell whether an instance is meant, by name or because this runs on it."""
    return bool(e.asked.instance or e.instance_id) or e.here


def wants_role(e: Evidence) -> bool:
    """Tell whether an instance and its role are meant: live, an object alone may be the session's own affair."""
    return bool(e.asked.instance or e.asked.role) or (not (e.here and e.asked.bucket) and means_instance(e))


def said_by(answer: Answer) -> dict[str, str]:
    """Return what a service's refusal says of itself."""
    code = ", ".join(
        part
        for part in (answer.code, answer.status and f"HTTP {answer.status}", answer.ec and f"EC {answer.ec}")
        if part
    )
    return {"answer": code, "message": answer.message or answer.said, "request id": answer.request_id}


def lower(text: str) -> str:
    """Return a sentence as a clause; a name at its beginning stays as it is."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
