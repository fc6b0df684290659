"""The policy language of Alibaba Cloud RAM: documents, evaluation with a trace, trust, small policies.

Pure and without I/O. Start at `evaluate`; `parse_policy` makes the documents that it reads. Built on it: `matrix` (actions ×
resources), `why_not` and `smallest_change`, `lint` (mistakes, as the vendor's editor and beyond it), `highlight` (the
deciding statement in its text), `from_calls` and `needs` (the smallest policy for what was seen, or for a need in words).

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
from ramrole_nb.policy.highlight import Highlighted, highlight
from ramrole_nb.policy.known import known_actions
from ramrole_nb.policy.lint import MAX_BUCKET_POLICY, lint
from ramrole_nb.policy.matching import action_matches, matches, resource_match_state, resource_matches
from ramrole_nb.policy.matrix import Cell, Matrix, matrix
from ramrole_nb.policy.minimal import Smallest, asked_by, from_calls, needs
from ramrole_nb.policy.model import Decision, NamedDocument, Outcome, Request, TraceRow
from ramrole_nb.policy.problems import SEVERITIES, Problem
from ramrole_nb.policy.system import SYSTEM_POLICIES, SystemPolicy
from ramrole_nb.policy.trust import evaluate_trust, trust_for_service, trusts_principal, trusts_service
from ramrole_nb.policy.whynot import Change, Edit, WhyNot, smallest_change, why_not

__all__ = [
    "MAX_ASSUME_SESSION_POLICY",
    "MAX_ATTACH_SESSION_POLICY",
    "MAX_BUCKET_POLICY",
    "MAX_CUSTOM_POLICY",
    "SEVERITIES",
    "SYSTEM_POLICIES",
    "Cell",
    "Change",
    "ConditionResult",
    "ConditionTest",
    "Decision",
    "Edit",
    "Highlighted",
    "MalformedPolicyDocument",
    "Matrix",
    "NamedDocument",
    "Outcome",
    "PolicyDocument",
    "Principal",
    "Problem",
    "Request",
    "Smallest",
    "Statement",
    "SystemPolicy",
    "TraceRow",
    "WhyNot",
    "action_matches",
    "asked_by",
    "bucket_list",
    "evaluate",
    "evaluate_condition",
    "evaluate_trust",
    "from_calls",
    "highlight",
    "known_actions",
    "lint",
    "matches",
    "matrix",
    "minimal_policy",
    "needs",
    "parse_policy",
    "read_objects",
    "read_write_objects",
    "resource_match_state",
    "resource_matches",
    "same_meaning",
    "smallest_change",
    "trust_for_service",
    "trusts_principal",
    "trusts_service",
    "why_not",
]
