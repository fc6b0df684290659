"""Hypothesis strategies for small documents and requests that meet each other often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ramrole_nb.policy import NamedDocument, Request, parse_policy

ACTIONS = ["oss:GetObject", "oss:PutObject", "oss:ListObjects", "ecs:RunCommand"]
ACTION_PATTERNS = [*ACTIONS, "*", "oss:*", "oss:Get*", "OSS:?etobject", "oss:Get.bject"]
RESOURCES = [
    "*",
    "acs:oss:oss-cn-beijing:123:b",
    "acs:oss:oss-cn-beijing:123:b/k",
    "acs:oss:*:*:b/k",
    "acs:oss:oss-cn-beijing:123:c/k",
]
RESOURCE_PATTERNS = [*RESOURCES, "acs:oss:*:*:b/*", "acs:oss:*", "acs:oss:*:*:${acs:x}/k", "acs:oss::*:b*"]
CONDITIONS: list[dict[str, Any] | None] = [
    None,
    {"StringEquals": {"oss:Prefix": ["a", "b"]}},
    {"StringNotLike": {"oss:Prefix": "a*"}},
    {"Bool": {"acs:SecureTransport": "true"}, "NumericLessThan": {"acs:ResourceTag/n": "5"}},
    {"StringEquals": {"acs:PrincipalRDId": "x"}},
    {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}},
]


def some(values: list[str]) -> st.SearchStrategy[Any]:
    """One value, or a list of one to three."""
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


@st.composite
def statements(draw: st.DrawFn, effect: str = "") -> dict[str, Any]:
    """A valid statement of an identity policy."""
    key = draw(st.sampled_from(["Action", "Action", "Action", "NotAction"]))
    result = {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        key: draw(some(ACTION_PATTERNS)),
        "Resource": draw(some(RESOURCE_PATTERNS)),
    }
    condition = draw(st.sampled_from(CONDITIONS))
    return result if condition is None else {**result, "Condition": condition}


def policies(effect: str = "") -> st.SearchStrategy[dict[str, Any]]:
    """A valid identity policy."""
    return st.lists(statements(effect), min_size=1, max_size=4).map(
        lambda s: {"Version": "1", "Statement": s}
    )


def named(index: int, policy: dict[str, Any], kind: Any = "Custom") -> NamedDocument:
    """Give a policy a name."""
    return NamedDocument(f"p{index}", kind, parse_policy(policy))


requests = st.builds(
    Request,
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    context=st.fixed_dictionaries(
        {},
        optional={
            "oss:Prefix": st.sampled_from(["a", "ab", "c"]),
            "acs:SecureTransport": st.sampled_from(["true", "false"]),
            "acs:ResourceTag/n": st.sampled_from(["1", "9", "x"]),
            "acs:SourceIp": st.sampled_from(["10.1.2.3", "192.0.2.1", None]),
        },
    ),
)
