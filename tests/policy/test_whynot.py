"""Why not, the smallest change, the matrix and the marked statement."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import (
    SYSTEM_POLICIES,
    NamedDocument,
    Outcome,
    Request,
    evaluate,
    highlight,
    lint,
    matrix,
    parse_policy,
    smallest_change,
    why_not,
)
from ramrole_nb.policy.covering import statement_covers
from tests.policy.strategies import named, policies, requests

PICTURE = "acs:oss:oss-cn-beijing:123456:photos/a/b.png"
OTHER = "acs:oss:oss-cn-beijing:123456:photos/c.png"


def held(*statements: dict[str, Any], name: str = "Mine", kind: Any = "Custom") -> NamedDocument:
    return NamedDocument(name, kind, parse_policy({"Version": "1", "Statement": list(statements)}))


def allow(action: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


READ_ONLY = NamedDocument(
    "AliyunOSSReadOnlyAccess", "System", parse_policy(SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document)
)
GET = Request("oss:GetObject", PICTURE)


# -- why not -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], ["No policy is attached at all"]),
        ([held(allow("oss:PutObject"))], ["None of the 1 statements of Mine is an Allow for this action"]),
        (
            [held(allow("oss:GetObject", "acs:oss:*:*:photos"))],
            [
                "Nearest is Statement[0] of Mine: its Action fits",
                "Its Resource does not: Resource acs:oss:*:*:photos does not match",
            ],
        ),
        (
            [held(allow("oss:*", Condition={"StringEquals": {"acs:ResourceTag/a": "b"}}))],
            [
                "its Action and Resource fit",
                "Its Condition does not: the request carries no acs:ResourceTag/a",
            ],
        ),
        (
            [READ_ONLY, held(allow("oss:*", effect="Deny"))],
            ["is denied", "Statement[0] of Mine explicitly denies", "A Deny wins"],
        ),
        (
            [held(allow("oss:*", Condition={"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}))],
            ["cannot be told", "acs:SourceIp"],
        ),
        ([READ_ONLY], ["It is allowed", "Statement[0] of AliyunOSSReadOnlyAccess allows"]),
    ],
)
def test_why_not(documents: list[NamedDocument], said: list[str]) -> None:
    told = why_not(GET, documents)
    for words in said:
        assert words in told.text()
    assert "<li>" in told.html()
    assert "<script" not in why_not(Request("oss:GetObject", "acs:oss:*:1:b/<script>"), documents).html()


# -- the smallest change --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documents", "kinds", "after"),
    [
        ([READ_ONLY], [], None),
        ([], ["new-policy"], allow(["oss:GetObject"], ["acs:oss:*:*:photos/a/b.png"])),
        (
            [held(allow("oss:GetObject", "acs:oss:*:*:photos/c.png"))],
            ["add-resource"],
            allow(["oss:GetObject"], ["acs:oss:*:*:photos/c.png", "acs:oss:*:*:photos/a/b.png"]),
        ),
        (
            [held(allow("oss:PutObject", "acs:oss:*:*:photos/a/b.png"))],
            ["add-action"],
            allow(["oss:PutObject", "oss:GetObject"], ["acs:oss:*:*:photos/a/b.png"]),
        ),
        # joining this statement would grant PutObject as well: a statement of its own
        (
            [held(allow(["oss:PutObject", "oss:GetObject"], "acs:oss:*:*:photos/c.png"))],
            ["add-statement"],
            allow(["oss:GetObject"], ["acs:oss:*:*:photos/a/b.png"]),
        ),
        (
            [READ_ONLY, held(allow(["oss:GetObject", "oss:PutObject"], effect="Deny"))],
            ["narrow-deny"],
            allow(["oss:PutObject"], ["*"], "Deny"),
        ),
        (
            [READ_ONLY, held(allow("oss:GetObject", [PICTURE, OTHER], effect="Deny"))],
            ["narrow-deny"],
            allow(["oss:GetObject"], [OTHER], "Deny"),
        ),
        ([READ_ONLY, held(allow("oss:*", effect="Deny"))], ["remove-deny"], None),
        (
            [READ_ONLY, held({"Effect": "Deny", "NotAction": ["oss:Put*"], "Resource": "*"})],
            ["narrow-deny"],
            {"Effect": "Deny", "NotAction": ["oss:Put*", "oss:GetObject"], "Resource": ["*"]},
        ),
        ([held(allow("oss:Get*", effect="Deny"))], ["remove-deny", "new-policy"], None),
        (
            [held(allow("oss:GetObject", Condition={"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}))],
            ["add-statement"],
            None,
        ),
        (
            [READ_ONLY, held(allow("oss:*", effect="Deny"), name="Strict", kind="System")],
            ["detach-policy"],
            None,
        ),
    ],
)
def test_the_smallest_change(documents: list[NamedDocument], kinds: list[str], after: Any) -> None:
    change = smallest_change(GET, documents)
    assert change.possible
    assert [edit.kind for edit in change.edits] == kinds
    assert change.decision.allowed
    if after is not None:
        assert json.loads(change.edits[-1].after) == after
    for edit in change.edits:
        assert edit.policy in edit.what or edit.kind == "new-policy"
        assert edit.what in change.text()
    assert change.sentence.split(":")[0] in change.html()


SESSION = NamedDocument(
    "session", "Session", parse_policy({"Version": "1", "Statement": [allow("oss:PutObject")]}, "session")
)
BUCKET = NamedDocument(
    "policy of photos",
    "Bucket",
    parse_policy(
        {"Version": "1", "Statement": [{**allow("oss:GetObject", effect="Deny"), "Principal": "*"}]}, "bucket"
    ),
)


@pytest.mark.parametrize(
    ("more", "documents", "said"),
    [
        ({"session": SESSION}, [READ_ONLY], "the session policy that was given"),
        ({}, [READ_ONLY, BUCKET], "the bucket policy denies"),
        (
            {"control": [held(allow("ecs:*"))]},
            [READ_ONLY],
            "a control policy of the resource directory does not allow",
        ),
        (
            {"control": [held(allow("*"), allow("oss:*", effect="Deny"))]},
            [READ_ONLY],
            "a control policy of the resource directory denies",
        ),
    ],
)
def test_what_no_ram_policy_can_change(
    more: dict[str, Any], documents: list[NamedDocument], said: str
) -> None:
    change = smallest_change(GET, documents, **more)
    assert not change.possible
    assert change.sentence.startswith("No RAM policy change can")
    assert said in change.sentence
    assert change.edits == ()
    assert change.documents == {}


def apply(held: list[NamedDocument], documents: Any) -> list[NamedDocument]:
    """What a person does with the answer: save each changed document under its name."""
    texts = dict(documents)
    result = [
        n if n.name not in texts else NamedDocument(n.name, n.type, parse_policy(texts[n.name]))
        for n in held
        if texts.get(n.name, "keep")
    ]
    known = {n.name for n in held}
    return result + [
        NamedDocument(n, "Custom", parse_policy(t)) for n, t in texts.items() if n not in known and t
    ]


@given(requests, st.lists(policies(), max_size=3), st.lists(requests, max_size=4))
def test_a_change_does_what_it_says_and_no_more(
    request: Request, sources: list[Any], others: list[Request]
) -> None:
    before = [named(i, source) for i, source in enumerate(sources)]
    change = smallest_change(request, before)
    assert change.possible, "only RAM policies are there, and their Denies can be changed"
    after = apply(before, change.documents)
    assert evaluate(request, after).allowed
    assert change.decision.allowed
    if any(edit.kind in ("narrow-deny", "remove-deny", "detach-policy") for edit in change.edits):
        return  # that a Deny no longer denies anything else either is said
    for other in others:
        if (other.action, other.resource.split(":")[4:]) != (
            request.action,
            request.resource.split(":")[4:],
        ) and request.resource != "*":
            assert evaluate(other, after).outcome is evaluate(other, before).outcome


@given(st.lists(policies(), min_size=1, max_size=2), requests)
def test_a_covering_statement_matches_whatever_the_covered_one_does(
    sources: list[Any], request: Request
) -> None:
    documents = [named(i, source) for i, source in enumerate(sources)]
    rows = list(evaluate(request, documents).trace)
    statements = [statement for document in documents for statement in document.document.statements]
    for wide, wide_row in zip(statements, rows, strict=True):
        for narrow, narrow_row in zip(statements, rows, strict=True):
            if statement_covers(wide, narrow) and narrow_row.matched:
                assert wide_row.matched


# -- the matrix and the marked statement ----------------------------------------------------------------------


def test_the_matrix_shows_each_outcome_in_sign_and_words() -> None:
    strict = held(
        allow("oss:GetObject", OTHER, effect="Deny"),
        allow("oss:PutObject", Condition={"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}),
    )
    shown = matrix(
        [READ_ONLY, strict],
        ["oss:GetObject", "oss:PutObject", "oss:DeleteObject", "oss:GetObject"],
        [PICTURE, OTHER],
    )
    assert shown.rows() == [
        ["oss:GetObject", "✓ allowed", "✕ denied"],
        ["oss:PutObject", "? unknown", "? unknown"],
        ["oss:DeleteObject", "– not allowed", "– not allowed"],
    ]
    for label in ("✓ allowed", "✕ denied", "? unknown", "– not allowed"):
        assert f"<summary>{label}</summary>" in shown.html()
        assert label in shown.text()
    assert shown.html().count("<details>") == 6
    assert "AliyunOSSReadOnlyAccess" in shown.text()
    denied = shown["oss:GetObject", OTHER]
    assert denied.deciding is not None
    assert "Deny" in denied.deciding.marked
    assert "PutObject" not in denied.deciding.marked
    assert "explicitly denies" in denied.text()
    assert "✕ does not fit" in shown["oss:DeleteObject", PICTURE].text()
    assert shown["oss:DeleteObject", PICTURE].deciding is None
    with pytest.raises(KeyError, match="did you mean 'oss:PutObject'"):
        shown["oss:PutObjct", PICTURE]
    assert "Nothing to decide" in matrix([READ_ONLY], [], []).html()


@pytest.mark.parametrize(
    ("action", "resource", "said"),
    [
        ("oss:GetObject", "acs:oss:*:*:photos", "photos is a bucket"),
        ("oss:getobject", "acs:oss:*:1:photos", "photos is a bucket"),
        ("oss:ListObjects", "acs:oss:*:*:photos/a.png", "photos/a.png is an object"),
        ("oss:ListBuckets", "acs:oss:*:*:photos", "no bucket or object"),
        ("oss:GetObject", "acs:oss:*:*:photos/a", ""),
        ("oss:ListObjects", "acs:oss:*:*:photos", ""),
        ("oss:ListBuckets", "acs:oss:*:*:*", ""),
        ("oss:GetObject", "*", ""),
        ("ecs:RunCommand", "acs:oss:*:*:photos", ""),
    ],
)
def test_what_no_request_asks_for_is_said(action: str, resource: str, said: str) -> None:
    cell = matrix([READ_ONLY], [action], [resource])[action, resource]
    assert said in cell.note
    assert bool(cell.note) is bool(said)
    assert cell.label.endswith(", never asked") is bool(said)
    assert cell.note in cell.text()
    assert cell.note in cell.html()


def test_what_comes_from_outside_is_escaped() -> None:
    evil = "acs:oss:*:1:b/<img src=x>"
    shown = matrix([held(allow("oss:GetObject", evil), name="<b>x</b>")], ["oss:GetObject", "<i>"], [evil])
    for html in (shown.html(), shown["oss:GetObject", evil].html(), why_not(Request("<i>", evil), []).html()):
        assert not re.search(r"<(img|b|i)[ >]", html)


@given(policies(), st.sampled_from([None, 1, 2, 4]), st.data())
def test_the_mark_is_on_the_statement(
    policy: dict[str, Any], indent: int | None, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(policy["Statement"]) - 1))
    shown = highlight(json.dumps(policy, indent=indent), at, name="Mine")
    marked = shown.marked.strip().rstrip(",")
    assert json.loads(marked) == policy["Statement"][at]
    assert json.loads("\n".join(shown.lines)) == policy
    assert shown.html().count("<mark") == shown.last - shown.first + 1
    assert shown.text().count("◀ this statement") == 1


def test_a_mark_that_cannot_be_set_is_said() -> None:
    for text in ("{", "[]", '{"Version": "1"}', "x" * 100_000):
        shown = highlight(text, 0)
        assert shown.first == 0
        assert "not found" in shown.text()
        assert "<mark" not in shown.html()
    element = highlight(
        '{"Version": "1",\n"Statement": [{"Effect": "Deny",\n"Action": ["a:b",\n"c:d"],\n"Resource": "*"}]}',
        0,
        element="Action",
    )
    assert (element.first, element.last) == (3, 4)
    assert Outcome.ALLOW is evaluate(GET, [READ_ONLY]).outcome
    assert lint("{") != []
