"""Parsing beyond the malformed cases, writing back, and equality of meaning."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import (
    MAX_ASSUME_SESSION_POLICY,
    MAX_ATTACH_SESSION_POLICY,
    MAX_CUSTOM_POLICY,
    ConditionTest,
    MalformedPolicyDocument,
    Principal,
    parse_policy,
    same_meaning,
)

READ = '{"Statement":[{"Action":["oss:Get*","oss:List*"],"Effect":"Allow","Resource":"*"}],"Version":"1"}'


def one(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*", **changes}
    return {"Version": "1", "Statement": [{k: v for k, v in statement.items() if v is not None}]}


def test_the_parts_of_a_statement() -> None:
    document = parse_policy(READ)
    (statement,) = document.statements
    assert document.version == "1"
    assert document.source_text == READ
    assert (statement.effect, statement.actions) == ("Allow", ("oss:Get*", "oss:List*"))
    assert (statement.not_actions, statement.resources) == ((), ("*",))
    assert (statement.principal, statement.condition, statement.index) == (None, (), 0)


def test_documents_are_values() -> None:
    assert parse_policy(READ) == parse_policy(json.loads(READ)) == parse_policy(parse_policy(READ).to_json())
    assert hash(parse_policy(READ)) == hash(parse_policy(json.dumps(json.loads(READ), indent=4)))


def test_condition_values_become_text() -> None:
    condition = {"Bool": {"acs:MFAPresent": True}, "NumericLessThan": {"acs:ResourceTag/n": [1, "2"]}}
    (statement,) = parse_policy(one(Condition=condition)).statements
    assert statement.condition == (
        ConditionTest("Bool", "acs:MFAPresent", ("true",)),
        ConditionTest("NumericLessThan", "acs:ResourceTag/n", ("1", "2")),
    )


def test_an_empty_condition_is_none() -> None:
    assert parse_policy(one(Condition={})) == parse_policy(one(Condition={"Bool": {}})) == parse_policy(one())


@pytest.mark.parametrize("value", [[], ["*"], "*"])
def test_a_bucket_principal_of_everyone(value: Any) -> None:
    (statement,) = parse_policy(one(Principal=value), "bucket").statements
    assert statement.principal == Principal(uid=("*",))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bucket", {"Principal": ["1", "2"]}),
        ("bucket", {"Principal": []}),
        (
            "trust",
            {"Resource": None, "Principal": {"Service": "ecs.aliyuncs.com", "RAM": ["acs:ram::1:root"]}},
        ),
        ("trust", {"Resource": None, "Principal": {"Federated": ["acs:ram::1:saml-provider/x"]}}),
        ("session", {"Condition": {"StringLike": {"oss:Prefix": ["é*", "b"], "oss:Delimiter": "/"}}}),
        ("identity", {"Action": None, "NotAction": "ram:*"}),
    ],
)
def test_every_kind_goes_round(kind: Any, changes: dict[str, Any]) -> None:
    document = parse_policy(one(**changes), kind)
    assert parse_policy(document.to_json(), kind) == document
    assert same_meaning(document.to_json(indent=2), one(**changes))
    assert "\\u" not in document.to_json()


def test_a_kind_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="kind must be one of identity, trust, bucket, session"):
        parse_policy(READ, "bukcet")  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [50, 100_000])
def test_nesting_does_no_harm(depth: int) -> None:
    with pytest.raises(MalformedPolicyDocument):
        parse_policy("[" * depth + "]" * depth)


def test_an_endless_number_does_no_harm() -> None:
    with pytest.raises(MalformedPolicyDocument, match="not valid JSON"):
        parse_policy('{"Version": ' + "1" * 10_000 + "}")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "*", "Allow"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Bool"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.sampled_from(["identity", "trust", "bucket", "session"]))
def test_whatever_it_is_given_it_says_malformed(tree: Any, kind: Any) -> None:
    for source in (
        tree,
        {"Version": "1", "Statement": tree},
        {"Version": "1", "Statement": [tree]},
        json.dumps(tree),
    ):
        with contextlib.suppress(MalformedPolicyDocument):
            parse_policy(source, kind)


@given(JSON, st.sampled_from(["Effect", "Action", "NotAction", "Resource", "Principal", "Condition"]))
def test_whatever_an_element_holds_it_says_malformed(value: Any, element: str) -> None:
    for kind in ("identity", "trust", "bucket", "session"):
        with contextlib.suppress(MalformedPolicyDocument):
            parse_policy(one(**{element: value}), kind)


@given(st.text())
def test_whatever_text_it_is_given_it_says_malformed(text: str) -> None:
    with pytest.raises(MalformedPolicyDocument):
        parse_policy(text)


def test_an_object_that_is_no_json() -> None:
    with pytest.raises(MalformedPolicyDocument, match="cannot be written as JSON"):
        parse_policy({"Version": "1", "Statement": [object()]})


def test_the_error_shows_the_place() -> None:
    with pytest.raises(MalformedPolicyDocument) as caught:
        parse_policy(one(Effect="Grant"))
    assert str(caught.value) == 'Statement[0].Effect: Effect must be "Allow" or "Deny", not "Grant".'
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (one(), one(Action=["OSS:getobject"], Resource=["*"]), True),
        (one(), one(Action=["oss:GetObject", "oss:GetObject"]), True),
        (one(), one(Action="oss:PutObject"), False),
        (one(), one(Effect="Deny"), False),
        (one(), one(Action=None, NotAction="oss:GetObject"), False),
        (one(Resource="acs:oss:*:*:b/K"), one(Resource="acs:oss:*:*:b/k"), False),
        (one(Condition={"StringEquals": {"oss:Prefix": "a"}}), one(), False),
        (
            one(Condition={"StringEquals": {"oss:Prefix": ["a", "b"]}}),
            one(Condition={"StringEquals": {"OSS:prefix": ["b", "a"]}}),
            True,
        ),
        (one(Principal="*"), one(Principal=[]), True),
        (one(Principal="1"), one(Principal="2"), False),
        (one(Action="oss:*"), one(Action=["oss:*", "oss:Get*"]), False),
    ],
)
def test_meaning(a: dict[str, Any], b: dict[str, Any], same: bool) -> None:
    assert same_meaning(a, json.dumps(b, indent=2)) is same
    assert same_meaning(json.dumps(b), a) is same


def test_meaning_needs_policies() -> None:
    with pytest.raises(MalformedPolicyDocument):
        same_meaning(READ, "{}")


def test_the_limits() -> None:
    assert (MAX_CUSTOM_POLICY, MAX_ATTACH_SESSION_POLICY, MAX_ASSUME_SESSION_POLICY) == (6144, 1024, 2048)
