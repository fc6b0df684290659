"""Mistakes inside one legal statement: it does not do what it seems to, or grants more than is safe.

Each rule is a function from a statement to its problems. Sources: the tables of
https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements (what each OSS action works on) and
https://www.alibabacloud.com/help/en/ram/policy-elements (ARNs, condition keys, principals).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ramrole_nb.policy.conditions import is_modelled
from ramrole_nb.policy.elements import PolicyKind
from ramrole_nb.policy.known import (
    ALIASES,
    CONDITION_KEYS,
    FOREIGN_ACTIONS,
    FOREIGN_SERVICES,
    KNOWN_ACTIONS,
    OSS_FORMS,
    SERVICES,
    action_named,
    expand,
    near,
)
from ramrole_nb.policy.matching import action_matches, matches, resource_match_state
from ramrole_nb.policy.operators import readable
from ramrole_nb.policy.problems import Problem, Severity
from ramrole_nb.policy.values import ConditionTest, Statement

__all__ = ["Hints", "statement_problems"]


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of the document beside its text; see `ramrole_nb.policy.lint.lint`."""

    kind: PolicyKind = "identity"
    scheme: str = ""
    service: str = ""
    bucket: str = ""


def statement_problems(statement: Statement, hints: Hints) -> Iterator[Problem]:
    """Yield the problems of one legal statement."""
    for rule in _RULES:
        yield from rule(statement, hints)


def _place(statement: Statement, element: str = "") -> str:
    return f"Statement[{statement.index}]" + (f".{element}" if element else "")


def _action_place(statement: Statement) -> str:
    return _place(statement, "NotAction" if statement.not_actions else "Action")


# -- actions -------------------------------------------------------------------------------------------------


def _actions(statement: Statement, hints: Hints) -> Iterator[Problem]:
    place = _action_place(statement)
    for action in dict.fromkeys(statement.actions + statement.not_actions):
        if action == "*":
            continue
        service, _, name = action.partition(":")
        code, message, fix = _action_fault(action, service, name)
        if code:
            severity: Severity = (
                "suggestion" if code in ("action-letter-case", "action-not-known") else "warning"
            )
            yield Problem(code, severity, place, message, fix)
    if hints.kind == "trust" and not any(action_matches(a, "sts:AssumeRole") for a in statement.actions):
        message = (
            "A trust policy is about sts:AssumeRole; with another action it lets nobody assume the role."
        )
        yield Problem("trust-action", "warning", place, message, 'Write "Action": "sts:AssumeRole".')


# So the vendor's page writes it in its sample policy, too.
_ALSO_WRITTEN = ("ecs:DetachInstanceRAMRole",)


def _action_fault(action: str, service: str, name: str) -> tuple[str, str, str]:
    """Return (code, message, fix) for one Action value; an empty code for none."""
    lower = service.lower()
    if lower in FOREIGN_SERVICES:
        ours = FOREIGN_SERVICES[lower]
        meant = FOREIGN_ACTIONS.get(action.lower()) or near(f"{ours}:{name}", KNOWN_ACTIONS, 0.7)
        meant = meant or f"{ours}:{name}"
        return (
            "action-of-another-cloud",
            f"{action} is another cloud's; no request ever matches it.",
            f"Write {meant}.",
        )
    if lower not in SERVICES:
        close = next((code for code in SERVICES if sorted(code) == sorted(lower)), "")  # letters swapped
        if close:
            return "unknown-service", f"No service has the code {service!r}.", f"Write {close}:{name}."
        return "", "", ""
    wild = "*" in name or "?" in name
    if action.lower() in ALIASES:
        meant = ALIASES[action.lower()]
        return (
            "no-such-action",
            f"{action} is an operation, no action: no request asks for it.",
            f"Write {meant}.",
        )
    if not wild:
        exact = action_named(action)
        if action in (exact, *_ALSO_WRITTEN):
            return "", "", ""
        if exact:
            message = f"{action} works, as letter case makes no difference in most services, but is written {exact}."
            return "action-letter-case", message, f"Write {exact}."
        close = near(action, [a for a in KNOWN_ACTIONS if a.startswith(f"{lower}:")])
        if close:
            return (
                "no-such-action",
                f"{action} is no action known here; no request may ever match it.",
                f"Did you mean {close}?",
            )
        return (
            "action-not-known",
            f"{action} is not known here.",
            f"Look it up in the vendor's list of {lower} actions.",
        )
    if service != lower:
        message = f"{action} works, as letter case makes no difference in most services; the code is written {lower}."
        return "action-letter-case", message, f"Write {lower}:{name}."
    if lower == "oss" and not expand(action):
        first = re.split(r"[*?]", name, maxsplit=1)[0]
        close = near(f"oss:{first}", OSS_FORMS, 0.6)
        fix = (
            f"Did you mean {close}, or a pattern of it?"
            if close
            else "OSS's actions begin with Get, List, Put, Delete."
        )
        return "no-such-action", f"{action} covers no action known here; no request may ever match it.", fix
    return "", "", ""


# -- resources -----------------------------------------------------------------------------------------------


def _resources(statement: Statement, hints: Hints) -> Iterator[Problem]:
    place = _place(statement, "Resource")
    for resource in dict.fromkeys(statement.resources):
        if resource == "*":
            continue
        parts = resource.split(":", 4)
        if "${" in resource:
            message = f"{resource} holds a policy variable; what it stands for is not modelled here."
            yield Problem(
                "policy-variable", "suggestion", place, message, "Check it against the live service."
            )
        elif len(parts) < 5:
            message = (
                f"{resource} has {len(parts)} of the five parts of an ARN, so it matches nothing for certain."
            )
            fix = "Write acs:<service>:<region>:<account>:<relative-id>"
            if parts[1:2] == ["oss"] and parts[-1]:
                fix += f", such as acs:oss:*:*:{parts[-1].strip(':*/') or 'my-bucket'}/*"
            yield Problem("arn-too-short", "warning", place, message, fix + ".")
        elif parts[1].lower() in FOREIGN_SERVICES or (
            parts[1] != parts[1].lower() and parts[1].lower() in SERVICES
        ):
            right = FOREIGN_SERVICES.get(parts[1].lower(), parts[1].lower())
            message = f"{resource} names the service {parts[1]!r}, which no resource has."
            yield Problem("arn-service", "warning", place, message, f"Write acs:{right}:…")
        elif parts[1] == "oss" and parts[4].startswith("/"):
            message = f"{resource}: bucket names and object names do not begin with a slash."
            yield Problem(
                "arn-slash", "warning", place, message, f"Write acs:oss:*:*:{parts[4].lstrip('/')}."
            )
        elif parts[1] == "oss" and (bucket := parts[4].split("/")[0]) != bucket.lower() and "*" not in bucket:
            message = f"{resource}: bucket names have no capital letters, so this is no bucket's."
            yield Problem("arn-bucket-case", "warning", place, message, f"Write {bucket.lower()}.")
        elif parts[1] == "oss" and parts[2].startswith("cn-"):
            message = f"{resource}: OSS names this region oss-{parts[2]} in its ARNs."
            yield Problem(
                "arn-oss-region", "warning", place, message, f"Write oss-{parts[2]}, or * for any region."
            )
        if (
            hints.kind == "bucket"
            and hints.bucket
            and len(parts) == 5
            and not _of_bucket(resource, hints.bucket)
        ):
            message = f"{resource} is not in the bucket {hints.bucket}, and a bucket policy speaks of its own bucket only."
            yield Problem(
                "resource-of-another-bucket",
                "warning",
                place,
                message,
                f"Write acs:oss:*:*:{hints.bucket}/*.",
            )


def _of_bucket(pattern: str, bucket: str) -> bool:
    relative = pattern.split(":", 4)[4]
    return matches(relative, bucket) or matches(relative.split("/")[0], bucket)


def _forms(statement: Statement, hints: Hints) -> Iterator[Problem]:
    """OSS actions on a resource of the wrong form: an object action on a bucket, a bucket action on objects."""
    if hints.kind == "trust" or not statement.actions:
        return
    bucket, objects = _forms_of(statement.resources)
    place = _place(statement, "Resource")
    for action in dict.fromkeys(statement.actions):
        forms = {OSS_FORMS[name] for name in expand(action) if name in OSS_FORMS}
        if len(forms) != 1 or not action.lower().startswith("oss:"):
            continue  # a wildcard over several forms is looked at with the whole document
        shown = next((r for r in statement.resources if r.startswith("acs:oss:")), statement.resources[0])
        form = forms.pop()
        if form == "object" and bucket and not objects:
            message = (
                f"{action} works on objects, and {shown} is the bucket alone: it is denied for every object."
            )
            fix = f"Write {shown.rstrip('/')}/* for every object of the bucket."
            yield Problem("object-action-on-bucket", "warning", place, message, fix)
        elif form == "bucket" and objects and not bucket:
            message = f"{action} works on the bucket itself, and {shown} names objects only: it is denied."
            fix = f"Add {shown.split('/')[0]} to Resource."
            yield Problem("bucket-action-on-objects", "warning", place, message, fix)
        elif form == "service" and not any(_covers_all(r) for r in statement.resources):
            message = f"{action} works on no bucket, and {shown} names one: it is denied."
            yield Problem(
                "service-action-on-bucket", "warning", place, message, "Write acs:oss:*:*:* for it."
            )


def _forms_of(resources: tuple[str, ...]) -> tuple[bool, bool]:
    """Tell whether some value can cover a bucket, and whether some value can cover an object."""
    bucket = objects = False
    for resource in resources:
        parts = resource.split(":", 4)
        if resource == "*" or len(parts) < 5 or "${" in resource:
            return True, True
        if not matches(parts[1], "oss"):
            continue
        bucket = bucket or "/" not in parts[4]
        objects = objects or "/" in parts[4] or "*" in parts[4]
    return bucket, objects


def _covers_all(resource: str) -> bool:
    return resource == "*" or resource_match_state(resource, "acs:oss:*:*:*") is not False


def _services(statement: Statement, hints: Hints) -> Iterator[Problem]:
    """Actions of one service on resources of another."""
    if hints.kind == "trust":
        return
    named = [r.split(":", 4)[1] for r in statement.resources if r.count(":") >= 4]
    if len(named) < len(statement.resources):
        return
    place = _place(statement, "Resource")
    told = set()
    for action in statement.actions:
        service = action.partition(":")[0].lower()
        own = {"ecs": ("ecs", "ram"), "sts": ("ram",)}.get(service, (service,))
        if service not in SERVICES or service in told or any(matches(n, s) for n in named for s in own):
            continue
        told.add(service)
        message = f"{action} never works on what Resource names ({', '.join(dict.fromkeys(named))})."
        fix = f"Give {service} actions a statement with acs:{own[0]}:… resources of their own."
        yield Problem("resource-of-another-service", "warning", place, message, fix)


# -- conditions ----------------------------------------------------------------------------------------------

_LISTING_ONLY = ("oss:prefix", "oss:delimiter")
_KINDS = {
    "Numeric": "number",
    "Date": "date",
    "Bool": "boolean",
    "IpAddress": "ip",
    "NotIpAddress": "ip",
    "String": "string",
}


def _conditions(statement: Statement, hints: Hints) -> Iterator[Problem]:
    for test in statement.condition:
        place = _place(statement, f"Condition.{test.operator}.{test.key}")
        yield from _condition_key(test, place)
        yield from _condition_values(test, place)
        yield from _condition_of_action(statement, test, place)
        if test.key.lower() == "acs:securetransport":
            yield from _secure_transport(statement, test, place, hints)


def _condition_key(test: ConditionTest, place: str) -> Iterator[Problem]:
    service = test.key.partition(":")[0].lower()
    known = [key.rstrip("/") for key in CONDITION_KEYS]
    if service in ("aws", *FOREIGN_SERVICES):
        ours = {"aws": "acs"}.get(service) or FOREIGN_SERVICES[service]
        close = near(f"{ours}:{test.key.partition(':')[2]}", known, 0.6)
        message = f"{test.key} is another cloud's; no request carries it."
        yield Problem("key-of-another-cloud", "warning", place, message, f"Write {close or ours + ':…'}.")
    elif service in ("acs", "oss") and not _known_key(test.key):
        close = near(test.key, known, 0.6)
        message = (
            f"{test.key} is no condition key known here, so whether the condition ever holds cannot be told."
        )
        fix = (
            f"Did you mean {close}?"
            if close
            else f"Known: {', '.join(k for k in known if k.startswith(service))}."
        )
        yield Problem("unknown-condition-key", "warning", place, message, fix)


def _known_key(key: str) -> bool:
    name, slash, rest = key.lower().partition("/")
    return (is_modelled(key) and (not slash or bool(rest))) or name + slash in {
        k.lower() for k in CONDITION_KEYS
    }


def _condition_values(test: ConditionTest, place: str) -> Iterator[Problem]:
    kind = next(kind for start, kind in _KINDS.items() if test.operator.startswith(start))
    name, slash, _ = test.key.partition("/")
    of_key = {k.lower(): v for k, v in CONDITION_KEYS.items()}.get((name + slash).lower(), "")
    if of_key and of_key not in ("string", kind):
        better = {
            "ip": "IpAddress",
            "date": "DateLessThan or DateGreaterThan",
            "boolean": "Bool",
            "number": "NumericEquals",
        }
        message = (
            f"{test.key} is a {_KIND_WORDS[of_key]}, and {test.operator} compares a {_KIND_WORDS[kind]}."
        )
        yield Problem("operator-of-another-type", "warning", place, message, f"Write {better[of_key]}.")
        return
    for value in test.values:
        if "${" in value:
            message = f"{value!r} holds a policy variable; what it stands for is not modelled here."
            yield Problem(
                "policy-variable", "suggestion", place, message, "Check it against the live service."
            )
        elif kind != "string" and not readable(test.operator, value):
            message = f"{value!r} is no {_KIND_WORDS[kind]}, so {test.operator} can never tell."
            yield Problem("unreadable-value", "warning", place, message, _VALUE_FIXES[kind])
        elif kind == "string" and "Like" not in test.operator and ("*" in value or "?" in value):
            like = "StringNotLike" if "Not" in test.operator else "StringLike"
            message = f"{test.operator} reads {value!r} letter by letter: * and ? are no wildcards there."
            yield Problem("wildcard-in-equals", "warning", place, message, f"Write {like}.")


_KIND_WORDS = {
    "number": "number",
    "date": "date",
    "boolean": "Boolean",
    "ip": "network address",
    "string": "text",
}
_VALUE_FIXES = {
    "number": "Write digits, such as 10 or 2.5.",
    "date": "Write ISO 8601 with the offset, such as 2026-01-31T17:00:00+08:00.",
    "boolean": 'Write "true" or "false".',
    "ip": "Write an address or a network, such as 10.0.0.0/8.",
}


def _condition_of_action(statement: Statement, test: ConditionTest, place: str) -> Iterator[Problem]:
    """Keys that only some calls carry, on a statement about others."""
    key = test.key.lower()
    if key in _LISTING_ONLY and statement.effect == "Allow":
        others = [
            a for a in statement.actions if a != "*" and not any(n.startswith("oss:List") for n in expand(a))
        ]
        others = [a for a in others if a.lower().startswith("oss:")]
        if others:
            message = (
                f"Only listings carry {test.key}, so this statement never allows {', '.join(others[:3])}."
            )
            fix = "Put them into a statement without it, and the prefix into Resource: acs:oss:*:*:bucket/prefix*."
            yield Problem("key-of-listings-only", "warning", place, message, fix)
    if (
        key == "acs:service"
        and statement.actions
        and not any(action_matches(a, "ram:PassRole") for a in statement.actions)
    ):
        message = "Only ram:PassRole carries acs:Service, so the condition never holds for these actions."
        yield Problem(
            "key-of-passrole-only",
            "warning",
            place,
            message,
            "Give ram:PassRole a statement of its own with it.",
        )


def _secure_transport(
    statement: Statement, test: ConditionTest, place: str, hints: Hints
) -> Iterator[Problem]:
    wants_https = (statement.effect == "Allow") == (test.values[0].lower() == "true")
    if not wants_https or hints.scheme == "https" or test.operator != "Bool":
        return
    if hints.scheme == "http":
        message = "It asks for HTTPS, and the endpoint is reached over http://: every call is denied."
        yield Problem(
            "https-asked-http-used", "warning", place, message, "Use an endpoint that begins with https://."
        )
    else:
        message = "It asks for HTTPS. A client whose endpoint has no scheme may use http:// (oss2 does), and is denied then."
        yield Problem("https-asked", "suggestion", place, message, "Begin the endpoint with https://.")


# -- what is granted -----------------------------------------------------------------------------------------


def _too_wide(statement: Statement, hints: Hints) -> Iterator[Problem]:
    if statement.effect == "Deny":
        if statement.not_actions and hints.kind != "bucket":
            listed = ", ".join(statement.not_actions[:3])
            message = f"A Deny with NotAction denies everything but {listed}, in every service, whatever else is allowed."
            fix = "Name in Action what is to be denied, unless everything else really is."
            yield Problem("deny-notaction", "security", _place(statement, "NotAction"), message, fix)
        return
    everything = "*" in statement.resources
    if statement.not_actions and hints.kind in ("identity", "session"):
        without_ram = any(action_matches(p, "ram:CreateRole") for p in statement.not_actions)
        message = (
            "An Allow with NotAction allows every action but those listed, also of services still to come"
        )
        message += "." if without_ram else ", and of RAM: whoever holds it can grant themselves anything."
        fix = "Name in Action what is needed."
        yield Problem("allow-notaction", "security", _place(statement, "NotAction"), message, fix)
    if hints.kind not in ("identity", "session") or statement.condition or not everything:
        return
    if "*" in statement.actions or "*:*" in statement.actions:
        message = "It allows every action on every resource: whoever holds it is an administrator."
        yield Problem(
            "allows-everything",
            "security",
            _place(statement),
            message,
            "Name the actions and resources needed.",
        )
    elif any(action_matches(a, "ram:AttachPolicyToRole") and "*" in a for a in statement.actions):
        message = "It allows managing permissions on every resource: whoever holds it can grant themselves anything."
        fix = "Name the actions, and the roles and policies, that are needed."
        yield Problem("allows-ram", "security", _place(statement), message, fix)
    elif whole := [a for a in statement.actions if a.endswith(":*")]:
        message = f"{whole[0]} on every resource is more than most need."
        yield Problem(
            "allows-a-service",
            "suggestion",
            _place(statement),
            message,
            "Name the actions and resources needed.",
        )


def _pass_role(statement: Statement, hints: Hints) -> Iterator[Problem]:
    if (
        hints.kind != "identity"
        or statement.effect != "Allow"
        or "ram:passrole" not in map(str.lower, statement.actions)
    ):
        return
    if any(test.key.lower() == "acs:service" for test in statement.condition):
        return
    if any(r == "*" or r.rpartition("role/")[2] == "*" for r in statement.resources):
        message = "ram:PassRole on every role lets its holder give any role, an administrator's too, to an instance."
        fix = 'Name the roles in Resource, and add "Condition": {"StringEquals": {"acs:Service": "ecs.aliyuncs.com"}}.'
        yield Problem("passrole-on-every-role", "security", _place(statement, "Resource"), message, fix)


def _principals(statement: Statement, hints: Hints) -> Iterator[Problem]:
    principal = statement.principal
    if principal is None or statement.effect == "Deny":
        return
    place = _place(statement, "Principal")
    if "*" in principal.uid and not statement.condition:
        message = 'It lets everybody in, also without a signature ([] and "*" both mean everyone).'
        yield Problem("open-to-everyone", "security", place, message, "Name the UIDs, or add a condition.")
    if any(arn == "*" or arn.split(":", 4)[3:4] == ["*"] for arn in principal.ram):
        message = "It trusts every Alibaba Cloud account."
        yield Problem(
            "trusts-everyone", "security", place, message, "Name the account: acs:ram::<account-id>:root."
        )
    for service in principal.service:
        wanted = service.rpartition("@")[2].lower()
        if wanted == hints.service or not hints.service:
            continue
        close = near(wanted, [hints.service], 0.8)
        if close:
            message = f"{service} is no service that assumes roles here; {close} is."
            yield Problem("unknown-service", "warning", place, message, f"Did you mean {close}?")


def _twice(statement: Statement, _: Hints) -> Iterator[Problem]:
    lists = (("NotAction" if statement.not_actions else "Action", statement.actions + statement.not_actions, True),
             ("Resource", statement.resources, False))  # fmt: skip
    for element, values, fold in lists:
        seen: set[str] = set()
        for value in values:
            key = value.lower() if fold else value
            if key in seen:
                message = f"{value} is listed twice."
                yield Problem(
                    "listed-twice",
                    "suggestion",
                    _place(statement, element),
                    message,
                    "Leave one of them out.",
                )
                break
            seen.add(key)


_Rule = Callable[[Statement, Hints], Iterator[Problem]]
_RULES: tuple[_Rule, ...] = (
    _actions,
    _resources,
    _forms,
    _services,
    _conditions,
    _too_wide,
    _pass_role,
    _principals,
    _twice,
)
