"""From evidence to causes: pure rules, in the order in which trouble lies, from the outside in.

A rule is told everything and answers with a finding or with nothing. `after` names the probe without which it cannot judge;
`judge` applies the rules whose probe has been, so that an outer cause is always named before an inner one.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import rules_instance, rules_object, rules_tools
from .evidence import Evidence
from .findings import Finding
from .probes import PROBES
from .rules import Rule, wants_role

__all__ = ["RULES", "advice", "judge", "open_questions"]

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
        (_SESSION, rules_instance.sandbox_gone),
        (_SESSION, rules_instance.proxy),
        (_INSTANCE, rules_instance.instance_missing),
        (_INSTANCE, rules_instance.instance_stopped),
        (_INSTANCE, rules_instance.instance_classic),
        (_METADATA, rules_instance.elsewhere),
        (_METADATA, rules_instance.metadata_off),
        (_METADATA, rules_instance.metadata_silent),
        (_METADATA, rules_instance.token),
        (_METADATA, rules_instance.client_without_token),
        (_METADATA, rules_instance.agent_too_old),
        (_METADATA, rules_instance.metadata_refuses),
        (_ROLE, rules_instance.role_asked_missing),
        (_ROLE, rules_instance.untrusted),
        (_ROLE, rules_instance.pass_role),
        (_ROLE, rules_instance.not_visible),
        (_ROLE, rules_instance.no_role),
        (_ROLE, rules_instance.other_role),
        (_WHO, rules_instance.role_gone),
        (_WHO, rules_instance.static_key),
        (_WHO, rules_instance.expired),
        (_WHO, rules_instance.bad_credential),
        (_WHO, rules_instance.stale),
        (_WHO, rules_instance.call_failed),
        (_BUCKET, rules_object.names),
        (_OBJECT, rules_object.object_failed),
        (_OBJECT, rules_object.bucket_missing),
        (_OBJECT, rules_object.key_missing),
        (_POLICIES, rules_object.refused),
        (_POLICIES, rules_tools.sdk_too_old),
        (_POLICIES, rules_tools.widgets),
        (_POLICIES, rules_tools.slow_crc),
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
    if e.around.crc_extension is False and rules_tools.slow_crc(e) is None:
        return [rules_tools.crc_finding(e, "")]
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
        "the metadata service": e.metadata if wants_role(e) else None,
        "the role's listing": e.listing if wants_role(e) else None,
        "its credential": e.credential,
        "who the credential is": e.identity,
        "the object": e.object,
    }
    late = [f"{name} (no answer in time)" for name in e.late]
    return late + [f"{name}: {answer.said}" for name, answer in looks.items() if answer and not answer.ok]
