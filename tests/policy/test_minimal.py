"""The smallest policy is enough (every call passes) and no larger than it must be (take anything out, and one fails)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ramrole_nb.policy import (
    NamedDocument,
    Request,
    evaluate,
    from_calls,
    lint,
    minimal_policy,
    needs,
    parse_policy,
)

OSS = [
    "oss:GetObject",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:GetObjectAcl",
    "OSS:getobject",
    "oss:ListParts",
]
KEYS = ["a.png", "b/c.png", "b/", "100%.txt", "what?.txt", "a*.png", "ä/ö.txt", "${x}.txt", "b/c*", "B/C.png"]
PLAIN = ["ecs:DescribeInstances", "ram:ListRoles", "oss:ListBuckets"]


def journal(seed: int) -> list[tuple[str, str]]:
    """What some program may have asked for."""
    pick = random.Random(seed)
    calls: list[tuple[str, str]] = []
    for _ in range(pick.randint(1, 40)):
        bucket, place = pick.choice(["one", "two", "two-b"]), pick.choice(["*:*", "oss-cn-beijing:123"])
        calls.append(
            pick.choice(
                [
                    (pick.choice(OSS), f"acs:oss:{place}:{bucket}/{pick.choice(KEYS)}"),
                    ("oss:ListObjects", f"acs:oss:{place}:{bucket}"),
                    (pick.choice(PLAIN), "*"),
                    (
                        pick.choice(["ram:PassRole", "ram:GetRole"]),
                        f"acs:ram:*:123:role/{pick.choice(['R', 'r', 'Other'])}",
                    ),
                    ("ecs:DescribeInstances", f"acs:ecs:cn-beijing:123:instance/i-{pick.randint(1, 3)}"),
                ]
            )
        )
    return calls


def allowed(text: str, pair: tuple[str, str]) -> bool:
    return evaluate(Request(*pair), [NamedDocument("p", "Custom", parse_policy(text))]).allowed


def smaller(text: str) -> Iterator[str]:
    """The policy without one of its elements, for each of them."""
    statements = json.loads(text)["Statement"]
    for at, statement in enumerate(statements):
        rest = [*statements[:at], *statements[at + 1 :]]
        if rest:
            yield json.dumps({"Version": "1", "Statement": rest})
        for element in ("Action", "Resource"):
            for value in statement[element]:
                left = [v for v in statement[element] if v != value]
                if left:
                    yield json.dumps({"Version": "1", "Statement": [*rest, {**statement, element: left}]})


@pytest.mark.parametrize("seed", range(100))
def test_it_is_enough_and_nothing_in_it_is_too_much(seed: int) -> None:
    calls = journal(seed)
    text = str(from_calls(calls))
    assert all(allowed(text, pair) for pair in calls)
    for less in smaller(text):
        assert not all(allowed(less, pair) for pair in calls), less
    shuffled = random.Random(seed).sample(calls, len(calls))
    assert minimal_policy(shuffled) == text, "the order makes no difference"


def test_it_allows_nothing_else() -> None:
    text = minimal_policy([("oss:GetObject", "acs:oss:*:*:b/a.png"), ("oss:ListObjects", "acs:oss:*:*:b")])
    for pair in [
        ("oss:GetObject", "acs:oss:*:*:b/a.pngx"),
        ("oss:PutObject", "acs:oss:*:*:b/a.png"),
        ("oss:GetObject", "*"),
    ]:
        assert not allowed(text, pair)


# -- what calls there are --------------------------------------------------------------------------------------


def wire(action: str, ok: bool = True, service: str = "Oss", decision: Any = None, **params: str) -> Any:
    return SimpleNamespace(service=service, action=action, params=params, ok=ok, decision=decision or {})


def test_calls_of_the_wire_and_the_journal_count() -> None:
    decided = {"action": "oss:GetObject", "resource": "acs:oss:oss-cn-beijing:1:b/k", "outcome": "ALLOW"}
    refused = {**decided, "action": "oss:PutObject", "outcome": "IMPLICIT_DENY"}
    calls = [
        {"service": "Oss", "operation": "GetObject", "decisions": [decided]},
        wire("PutObject", decision={"all": [refused]}),
        wire("ListObjectsV2", bucket="b"),
        wire("HeadObject", bucket="b", key="x.png"),
        wire("GetService"),
        wire("GET meta-data", service="IMDS"),
        {"service": "Sts", "operation": "GetCallerIdentity", "decisions": []},
    ]
    found = from_calls(calls)
    assert set(found.calls) == {
        ("oss:GetObject", "acs:oss:oss-cn-beijing:1:b/k"),
        ("oss:ListObjects", "acs:oss:*:*:b"),
        ("oss:GetObject", "acs:oss:*:*:b/x.png"),
        ("oss:ListBuckets", "acs:oss:*:*:*"),
    }
    assert all(allowed(found.document, pair) for pair in found.calls)
    assert found.left_out == (
        "oss:PutObject on acs:oss:oss-cn-beijing:1:b/k: it was refused",
        "IMDS:GET meta-data: it needs no permission, or which one is not known here",
        "Sts:GetCallerIdentity: it needs no permission, or which one is not known here",
    )
    assert allowed(str(from_calls(calls, refused=True)), ("oss:PutObject", "acs:oss:oss-cn-beijing:1:b/k"))


def test_no_call_and_no_sense() -> None:
    assert from_calls([]).document == ""
    with pytest.raises(ValueError, match="is no call"):
        from_calls([7])


# -- needs in words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "granted", "not_granted"),
    [
        ("read oss://my-bucket/a/", ("oss:GetObject", "my-bucket/a/b"), ("oss:GetObject", "my-bucket/b")),
        (
            "read oss://my-bucket/a.png",
            ("oss:GetObject", "my-bucket/a.png"),
            ("oss:GetObject", "my-bucket/a.png2"),
        ),
        ("download oss://my-bucket", ("oss:GetObject", "my-bucket/x"), ("oss:PutObject", "my-bucket/x")),
        (
            "read  oss://my-bucket/pre*",
            ("oss:GetObject", "my-bucket/prefix"),
            ("oss:GetObject", "my-bucket/x"),
        ),
        ("Write oss://my-bucket/a/", ("oss:PutObject", "my-bucket/a/b"), ("oss:GetObject", "my-bucket/a/b")),
        (
            "delete oss://my-bucket/a/",
            ("oss:DeleteObject", "my-bucket/a/b"),
            ("oss:GetObject", "my-bucket/a/b"),
        ),
        ("list oss://my-bucket", ("oss:ListObjects", "my-bucket"), ("oss:GetObject", "my-bucket/a")),
        ("list buckets", ("oss:ListBuckets", "*"), ("oss:ListObjects", "my-bucket")),
    ],
)
def test_a_need_in_words(wish: str, granted: tuple[str, str], not_granted: tuple[str, str]) -> None:
    text = needs(wish)
    assert allowed(text, (granted[0], f"acs:oss:oss-cn-beijing:1:{granted[1]}"))
    assert not allowed(text, (not_granted[0], f"acs:oss:oss-cn-beijing:1:{not_granted[1]}"))
    assert lint(text) == []


def test_needs_together() -> None:
    text = needs(
        "read oss://my-bucket/a/",
        "list oss://my-bucket/a/",
        "attach role R",
        "list oss://my-bucket/a/",
        "assume role S",
    )
    held = [NamedDocument("p", "Custom", parse_policy(text))]
    listing = Request("oss:ListObjects", "acs:oss:oss-cn-beijing:1:my-bucket", context={"oss:Prefix": "a/"})
    assert evaluate(listing, held).allowed
    assert not evaluate(Request(listing.action, listing.resource, context={"oss:Prefix": ""}), held).allowed
    to_ecs = {"acs:Service": "ecs.aliyuncs.com"}
    assert evaluate(Request("ram:PassRole", "acs:ram:*:1:role/R", context=to_ecs), held).allowed
    assert not evaluate(Request("ram:PassRole", "acs:ram:*:1:role/Q", context=to_ecs), held).allowed
    assert not evaluate(
        Request("ram:PassRole", "acs:ram:*:1:role/R", context={"acs:Service": "fc.aliyuncs.com"}), held
    ).allowed
    assert evaluate(Request("ecs:AttachInstanceRamRole", "acs:ecs:cn-beijing:1:instance/i-1"), held).allowed
    assert lint(text) == []
    assert needs("attach role R") == needs("attach role R", "attach role R")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("raed oss://my-bucket/", "say 'read oss://BUCKET/PREFIX'"),
        ("read my-bucket", "not understood"),
        ("", "not understood"),
        ("read oss://My_Bucket/", "no bucket name"),
        ("read oss://my-bucket//a", "do not begin with"),
        ("read oss://my-bucket/a?b", "a meaning of their own"),
        ("attach role a b", "not understood"),
    ],
)
def test_a_need_that_is_not_understood(wish: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        needs(wish)
    with pytest.raises(ValueError, match="say what is needed"):
        needs()
