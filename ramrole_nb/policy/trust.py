"""Trust policies: who may assume a role.

Forms: https://www.alibabacloud.com/help/en/ram/policy-elements (Principal). A role for ECS instances trusts
the service ``ecs.aliyuncs.com``. For a RAM user the trust policy is half of the answer: the user's own
policies must allow ``sts:AssumeRole`` on the role too
(https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ramrole_nb.policy.conditions import Context
from ramrole_nb.policy.documents import PolicyDocument, dump, parse_policy
from ramrole_nb.policy.evaluate import Level, decide
from ramrole_nb.policy.model import REPORTED_TYPE, Decision, NamedDocument, Request

ECS_SERVICE = "ecs.aliyuncs.com"

TrustSource = str | Mapping[str, Any] | PolicyDocument

_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_ASSUMED = re.compile(r"(acs:ram:[^:]*:[^:]*):assumed-role/([^/]+)/.*", re.DOTALL)


def trust_for_service(service: str = ECS_SERVICE) -> str:
    """Write the trust policy that lets a cloud service assume the role.

    Args:
        service: the service's principal; ``ecs.aliyuncs.com`` for instance RAM roles.

    Returns:
        JSON, equal in content to the sample of
        https://www.alibabacloud.com/help/id/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance.

    Raises:
        ValueError: ``service`` does not look like a service principal.
    """
    if not _SERVICE.fullmatch(service):
        raise ValueError(f"{service!r} is no service principal; write one such as {ECS_SERVICE}")
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": [service]}}
    return dump({"Statement": [statement], "Version": "1"})


def trusts_service(document: TrustSource, service: str = ECS_SERVICE) -> bool:
    """Tell whether a service certainly may assume the role.

    Args:
        document: the trust policy.
        service: the service's principal.

    Returns:
        True when it may; False when it may not, or when a condition leaves it open.

    Raises:
        MalformedPolicyDocument: the document is no trust policy.
    """
    return evaluate_trust(document, service=service).allowed


def trusts_principal(document: TrustSource, arn: str, account_id: str = "") -> bool:
    """Tell whether the trust policy certainly names a RAM user, role or session, or its whole account.

    Args:
        document: the trust policy.
        arn: such as ``acs:ram::<account-id>:user/<name>`` or
            ``acs:ram::<account-id>:assumed-role/<role>/<session>``.
        account_id: the caller's account; read from ``arn`` when left out.

    Returns:
        True when it does; False when it does not, or when a condition leaves it open.

    Raises:
        MalformedPolicyDocument: the document is no trust policy.
    """
    return evaluate_trust(document, arn=arn, account_id=account_id).allowed


def evaluate_trust(
    document: TrustSource,
    *,
    service: str | None = None,
    arn: str | None = None,
    account_id: str = "",
    federated: str | None = None,
    context: Context | None = None,
    action: str = "sts:AssumeRole",
    role: str = "the role",
) -> Decision:
    """Decide whether a trust policy lets somebody assume the role.

    Args:
        document: the trust policy, as text, object or parsed.
        service: a service's principal, or
        arn: the ARN of a RAM user, role or session, or
        federated: the ARN of an identity provider; exactly one of the three.
        account_id: the account of ``arn``, when it should not be read from it.
        context: condition keys of the call.
        action: what is asked for.
        role: how sentences name the role; its name or ARN.

    Returns:
        The decision; its ``policy_type`` is AssumeRolePolicy.

    Raises:
        ValueError: not exactly one caller was given.
        MalformedPolicyDocument: the document is no trust policy.
    """
    callers = [caller for caller in (service, arn, federated) if caller]
    if len(callers) != 1:
        raise ValueError("give exactly one of service, arn and federated")
    parsed = document if isinstance(document, PolicyDocument) else parse_policy(document, "trust")
    request = Request(
        action=action,
        resource=role,
        principal=callers[0],
        context=context or {},
        principal_ids=_other_names(arn, account_id) if arn else (),
    )
    named = NamedDocument("the trust policy", "Trust", parsed)
    return decide(request, [Level(REPORTED_TYPE["Trust"], "trust policy", (named,))])


def _other_names(arn: str, account_id: str) -> tuple[str, ...]:
    """The names that stand for a caller as well: its account, and its role when it is a session of one."""
    account = account_id or next(iter(arn.split(":")[3:4]), "")
    names = [f"acs:ram::{account}:root"] if account else []
    if session := _ASSUMED.fullmatch(arn):
        names.append(f"{session[1]}:role/{session[2]}")
    return tuple(names)
