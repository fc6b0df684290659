"""The policy language of Alibaba Cloud RAM: documents, evaluation with a trace, trust, small policies.

Pure and without I/O. Start at `evaluate`; `parse_policy` makes the documents that it reads.

    >>> from ramrole_nb.policy import NamedDocument, Request, evaluate, parse_policy, read_objects
    >>> mine = NamedDocument("mine", "Custom", parse_policy(read_objects("my-bucket", "photos/")))
    >>> picture = "acs:oss:oss-cn-beijing:123456:my-bucket/photos/a.png"
    >>> evaluate(Request("oss:GetObject", picture), [mine]).outcome
    <Outcome.ALLOW: 'Allow'>
"""

from ramrole_nb.policy.builders import bucket_list, minimal_policy, read_objects, read_write_objects
from ramrole_nb.policy.conditions import ConditionResult, evaluate_condition
from ramrole_nb.policy.documents import (
    MAX_ASSUME_SESSION_POLICY,
    MAX_ATTACH_SESSION_POLICY,
    MAX_CUSTOM_POLICY,
    ConditionTest,
    MalformedPolicyDocument,
    PolicyDocument,
    Principal,
    Statement,
    parse_policy,
    same_meaning,
)
from ramrole_nb.policy.evaluate import evaluate
from ramrole_nb.policy.matching import action_matches, matches, resource_match_state, resource_matches
from ramrole_nb.policy.model import Decision, NamedDocument, Outcome, Request, TraceRow
from ramrole_nb.policy.system import SYSTEM_POLICIES, SystemPolicy
from ramrole_nb.policy.trust import evaluate_trust, trust_for_service, trusts_principal, trusts_service

__all__ = [
    "MAX_ASSUME_SESSION_POLICY",
    "MAX_ATTACH_SESSION_POLICY",
    "MAX_CUSTOM_POLICY",
    "SYSTEM_POLICIES",
    "ConditionResult",
    "ConditionTest",
    "Decision",
    "MalformedPolicyDocument",
    "NamedDocument",
    "Outcome",
    "PolicyDocument",
    "Principal",
    "Request",
    "Statement",
    "SystemPolicy",
    "TraceRow",
    "action_matches",
    "bucket_list",
    "evaluate",
    "evaluate_condition",
    "evaluate_trust",
    "matches",
    "minimal_policy",
    "parse_policy",
    "read_objects",
    "read_write_objects",
    "resource_match_state",
    "resource_matches",
    "same_meaning",
    "trust_for_service",
    "trusts_principal",
    "trusts_service",
]
