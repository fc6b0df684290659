"""Each mistake that the lint knows: it is found, it is told where, and the corrected document has it no longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import (
    SEVERITIES,
    SYSTEM_POLICIES,
    MalformedPolicyDocument,
    Problem,
    lint,
    minimal_policy,
    parse_policy,
    read_objects,
    read_write_objects,
    trust_for_service,
)
from tests.policy.strategies import policies

OBJECTS, BUCKET = "acs:oss:*:*:my-bucket/*", "acs:oss:*:*:my-bucket"
ECS = {"Service": ["ecs.aliyuncs.com"]}


def doc(*statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Version": "1", "Statement": list(statements), **more}


def allow(action: Any, resource: Any = OBJECTS, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


def trust(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": ECS, **more}


GET = allow("oss:GetObject")
NO_ACTION = {"Effect": "Allow", "Resource": "*"}
LIST_WITH = allow("oss:ListObjects", BUCKET, **when("StringLike", "oss:Prefix", "a/*"))
ATTACH = allow("ecs:AttachInstanceRamRole", "*")
PASS = allow("ram:PassRole", "acs:ram:*:*:role/R", **when("StringEquals", "acs:Service", "ecs.aliyuncs.com"))
SECURE = when("Bool", "acs:SecureTransport", "true")

# code, path, the document with the mistake, the corrected one, the lint's options
CASES: list[tuple[str, str, Any, Any, dict[str, Any]]] = [
    # what the vendor's editor checks: https://help.aliyun.com/en/ram/permission-policy-check
    ("data-type-mismatch", "Statement[0].Action", doc(allow(7)), doc(GET), {}),
    ("data-type-mismatch", "Statement", {"Version": "1", "Statement": GET}, doc(GET), {}),
    ("invalid-action-format", "Statement[0].Action", doc(allow("GetObject")), doc(GET), {}),
    ("invalid-arn-prefix", "Statement[0].Resource", doc(allow("oss:GetObject", "my-bucket/*")), doc(GET), {}),
    (
        "invalid-condition-key",
        "Statement[0].Condition.StringLike",
        doc({**LIST_WITH, **when("StringLike", "Prefix", "a/*")}),
        doc(LIST_WITH),
        {},
    ),
    (
        "multiple-boolean-values",
        "Statement[0].Condition.Bool.acs:SecureTransport",
        doc(allow("oss:GetObject", **when("Bool", "acs:SecureTransport", ["true", "false"]))),
        doc(allow("oss:GetObject", **SECURE)),
        {},
    ),
    (
        "invalid-condition-operator",
        "Statement[0].Condition.StringLikeIfExists",
        doc({**LIST_WITH, **when("StringLikeIfExists", "oss:Prefix", "a/*")}),
        doc(LIST_WITH),
        {},
    ),
    ("invalid-effect", "Statement[0].Effect", doc({**GET, "Effect": "allow"}), doc(GET), {}),
    ("invalid-element", "Statement[0].Sid", doc({**GET, "Sid": "one"}), doc(GET), {}),
    ("invalid-element", "Statement[0].NotResource", doc({**GET, "NotResource": "*"}), doc(GET), {}),
    ("invalid-element", "Id", doc(GET, Id="x"), doc(GET), {}),
    ("missing-action", "Statement[0]", doc(NO_ACTION), doc(GET), {}),
    ("action-and-notaction", "Statement[0]", doc({**GET, "NotAction": "ram:*"}), doc(GET), {}),
    (
        "missing-resource",
        "Statement[0].Resource",
        doc({"Effect": "Allow", "Action": "oss:GetObject"}),
        doc(GET),
        {},
    ),
    ("missing-version", "", {"Statement": [GET]}, doc(GET), {}),
    ("invalid-version", "Version", {"Version": 1, "Statement": [GET]}, doc(GET), {}),
    ("no-statement", "Statement", doc(), doc(GET), {}),
    ("too-long", "", doc(allow("oss:GetObject", [f"acs:oss:*:*:b-{i}/*" for i in range(400)])), doc(GET), {}),
    (
        "too-long",
        "",
        doc(allow("oss:GetObject", "acs:oss:*:*:my-bucket/" + "a" * 1000)),
        doc(GET),
        {"kind": "session"},
    ),
    # facts of policies, section 8
    ("object-action-on-bucket", "Statement[0].Resource", doc(allow("oss:GetObject", BUCKET)), doc(GET), {}),
    (
        "bucket-action-on-objects",
        "Statement[0].Resource",
        doc(allow("oss:ListObjects")),
        doc(allow("oss:ListObjects", BUCKET)),
        {},
    ),
    ("no-such-action", "Statement[0].Action", doc(allow("oss:HeadObject")), doc(GET), {}),
    (
        "no-such-action",
        "Statement[0].Action",
        doc(allow("oss:ListObjectsV2", BUCKET)),
        doc(allow("oss:ListObjects", BUCKET)),
        {},
    ),
    ("version-of-another-cloud", "Version", {**doc(GET), "Version": "2012-10-17"}, doc(GET), {}),
    (
        "arn-of-another-cloud",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "arn:aws:s3:::my-bucket/*")),
        doc(GET),
        {},
    ),
    ("principal-misplaced", "Statement[0].Principal", doc({**GET, "Principal": "*"}), doc(GET), {}),
    (
        "resource-misplaced",
        "Statement[0].Resource",
        doc(trust(Resource="*")),
        doc(trust()),
        {"kind": "trust"},
    ),
    (
        "missing-principal",
        "Statement[0].Principal",
        doc({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        doc(trust()),
        {"kind": "trust"},
    ),
    (
        "trust-without-service",
        "",
        doc(trust(Principal={"Service": ["oss.aliyuncs.com"]})),
        doc(trust()),
        {"kind": "trust"},
    ),
    ("missing-passrole", "Statement[0]", doc(ATTACH), doc(ATTACH, PASS), {}),
    (
        "https-asked-http-used",
        "Statement[0].Condition.Bool.acs:SecureTransport",
        doc(allow("oss:GetObject", **SECURE)),
        doc(GET),
        {"scheme": "http"},
    ),
    (
        "https-asked",
        "Statement[0].Condition.Bool.acs:SecureTransport",
        doc(allow("oss:GetObject", **SECURE)),
        doc(GET),
        {},
    ),
    # letter case, spelling, habits
    ("action-letter-case", "Statement[0].Action", doc(allow("OSS:getobject")), doc(GET), {}),
    (
        "action-letter-case",
        "Statement[0].Action",
        doc(allow(["OSS:Get*", "oss:List*"], "*")),
        doc(allow(["oss:Get*", "oss:List*"], "*")),
        {},
    ),
    ("no-such-action", "Statement[0].Action", doc(allow("oss:GetObjct")), doc(GET), {}),
    ("no-such-action", "Statement[0].Action", doc(allow("ram:PasRole", "*")), doc(PASS), {}),
    (
        "no-such-action",
        "Statement[0].Action",
        doc(allow("oss:Describe*", "*")),
        doc(allow("oss:List*", "*")),
        {},
    ),
    ("action-not-known", "Statement[0].Action", doc(allow("ecs:Frobnicate", "*")), doc(ATTACH, PASS), {}),
    ("action-of-another-cloud", "Statement[0].Action", doc(allow("s3:GetObject")), doc(GET), {}),
    (
        "key-of-another-cloud",
        "Statement[0].Condition.IpAddress.aws:SourceIp",
        doc(allow("oss:GetObject", **when("IpAddress", "aws:SourceIp", "10.0.0.0/8"))),
        doc(allow("oss:GetObject", **when("IpAddress", "acs:SourceIp", "10.0.0.0/8"))),
        {},
    ),
    ("unknown-service", "Statement[0].Action", doc(allow("sso:GetObject")), doc(GET), {}),
    (
        "unknown-service",
        "Statement[0].Principal",
        doc(trust(Principal={"Service": ["esc.aliyuncs.com"]})),
        doc(trust()),
        {"kind": "trust"},
    ),
    (
        "trust-action",
        "Statement[0].Action",
        doc(trust(Action="ram:AssumeRole")),
        doc(trust()),
        {"kind": "trust"},
    ),
    # resources
    (
        "arn-too-short",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:oss:my-bucket")),
        doc(GET),
        {},
    ),
    (
        "arn-service",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:s3:*:*:my-bucket/*")),
        doc(GET),
        {},
    ),
    (
        "arn-slash",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:oss:*:*:/my-bucket/*")),
        doc(GET),
        {},
    ),
    (
        "arn-bucket-case",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:oss:*:*:My-Bucket/*")),
        doc(GET),
        {},
    ),
    (
        "arn-oss-region",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:oss:cn-beijing:*:my-bucket/*")),
        doc(allow("oss:GetObject", "acs:oss:oss-cn-beijing:*:my-bucket/*")),
        {},
    ),
    (
        "policy-variable",
        "Statement[0].Resource",
        doc(allow("oss:GetObject", "acs:oss:*:*:b/${acs:x}")),
        doc(GET),
        {},
    ),
    (
        "service-action-on-bucket",
        "Statement[0].Resource",
        doc(allow("oss:ListBuckets", BUCKET)),
        doc(allow("oss:ListBuckets", "acs:oss:*:*:*")),
        {},
    ),
    (
        "bucket-action-on-objects",
        "Statement[0].Resource",
        doc(allow("oss:List*")),
        doc(allow("oss:List*", [BUCKET, OBJECTS])),
        {},
    ),
    (
        "object-action-on-bucket",
        "Statement[0].Resource",
        doc(allow("oss:Get*", BUCKET)),
        doc(allow("oss:Get*", BUCKET), GET),
        {},
    ),
    (
        "resource-of-another-service",
        "Statement[0].Resource",
        doc(allow("ram:GetRole", BUCKET)),
        doc(allow("ram:GetRole", "acs:ram:*:*:role/R")),
        {},
    ),
    (
        "resource-of-another-bucket",
        "Statement[0].Resource",
        doc({**GET, "Principal": ["123"]}),
        doc({**GET, "Principal": ["123"], "Resource": "acs:oss:*:*:mine/*"}),
        {"kind": "bucket", "bucket": "mine"},
    ),
    # conditions
    (
        "unknown-condition-key",
        "Statement[0].Condition.StringLike.oss:Prefixes",
        doc({**LIST_WITH, **when("StringLike", "oss:Prefixes", "a/*")}),
        doc(LIST_WITH),
        {},
    ),
    (
        "wildcard-in-equals",
        "Statement[0].Condition.StringEquals.oss:Prefix",
        doc({**LIST_WITH, **when("StringEquals", "oss:Prefix", "a/*")}),
        doc(LIST_WITH),
        {},
    ),
    (
        "operator-of-another-type",
        "Statement[0].Condition.StringLike.acs:SourceIp",
        doc(allow("oss:GetObject", **when("StringLike", "acs:SourceIp", "10.*"))),
        doc(allow("oss:GetObject", **when("IpAddress", "acs:SourceIp", "10.0.0.0/8"))),
        {},
    ),
    (
        "unreadable-value",
        "Statement[0].Condition.DateLessThan.acs:CurrentTime",
        doc(allow("oss:GetObject", **when("DateLessThan", "acs:CurrentTime", "2030-01-01"))),
        doc(allow("oss:GetObject", **when("DateLessThan", "acs:CurrentTime", "2030-01-01T00:00:00Z"))),
        {},
    ),
    (
        "unreadable-value",
        "Statement[0].Condition.IpAddress.acs:SourceIp",
        doc(allow("oss:GetObject", **when("IpAddress", "acs:SourceIp", "10.0"))),
        doc(GET),
        {},
    ),
    (
        "key-of-listings-only",
        "Statement[0].Condition.StringLike.oss:Prefix",
        doc(allow(["oss:ListObjects", "oss:GetObject"], "*", **when("StringLike", "oss:Prefix", "a/*"))),
        doc(LIST_WITH, GET),
        {},
    ),
    (
        "key-of-passrole-only",
        "Statement[0].Condition.StringEquals.acs:Service",
        doc({**ATTACH, **when("StringEquals", "acs:Service", "ecs.aliyuncs.com")}),
        doc(ATTACH, PASS),
        {},
    ),
    # what is granted
    (
        "deny-notaction",
        "Statement[1].NotAction",
        doc(GET, {"Effect": "Deny", "NotAction": "oss:*", "Resource": "*"}),
        doc(GET, {**allow("oss:DeleteObject", "*"), "Effect": "Deny"}),
        {},
    ),
    (
        "allow-notaction",
        "Statement[0].NotAction",
        doc({"Effect": "Allow", "NotAction": "ram:*", "Resource": "*"}),
        doc(GET),
        {},
    ),
    ("allows-everything", "Statement[0]", doc(allow("*", "*")), doc(GET), {}),
    ("allows-ram", "Statement[0]", doc(allow("ram:*", "*")), doc(PASS), {}),
    ("allows-a-service", "Statement[0]", doc(allow("oss:*", "*")), doc(GET), {}),
    (
        "passrole-on-every-role",
        "Statement[1].Resource",
        doc(ATTACH, allow("ram:PassRole", "*")),
        doc(ATTACH, PASS),
        {},
    ),
    (
        "open-to-everyone",
        "Statement[0].Principal",
        doc({**GET, "Principal": []}),
        doc({**GET, "Principal": ["123"]}),
        {"kind": "bucket"},
    ),
    (
        "trusts-everyone",
        "Statement[0].Principal",
        doc(trust(), trust(Principal={"RAM": ["*"]}))["Statement"]
        and doc(trust(Principal={"RAM": ["*"], "Service": ["ecs.aliyuncs.com"]})),
        doc(trust()),
        {"kind": "trust"},
    ),
    # the whole
    ("only-denies", "", doc({**GET, "Effect": "Deny"}), doc(GET), {}),
    ("listed-twice", "Statement[0].Action", doc(allow(["oss:GetObject", "oss:GetObject"])), doc(GET), {}),
    ("duplicate-statement", "Statement[1]", doc(GET, dict(GET)), doc(GET), {}),
    ("shadowed-statement", "Statement[1]", doc(allow("oss:Get*"), GET), doc(GET), {}),
    (
        "unreachable-statement",
        "Statement[0]",
        doc(GET, {**allow("oss:*", "*"), "Effect": "Deny"}),
        doc(GET),
        {},
    ),
    (
        "trust-depends",
        "",
        doc(trust(**when("IpAddress", "acs:SourceIp", "10.0.0.0/8"))),
        doc(trust()),
        {"kind": "trust"},
    ),
]


def found(problems: list[Problem]) -> set[tuple[str, str]]:
    return {(problem.code, problem.path) for problem in problems}


@pytest.mark.parametrize(
    ("code", "path", "wrong", "right", "options"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_the_mistake_is_found_and_goes_with_its_fix(
    code: str, path: str, wrong: Any, right: Any, options: Any
) -> None:
    problems = lint(wrong, **options)
    assert (code, path) in found(problems), problems
    assert code not in {problem.code for problem in lint(right, **options)}
    told = next(problem for problem in problems if problem.code == code)
    assert told.message.endswith((".", ".)")) or "The service says" in told.message or "(" in told.message
    assert told.fix.endswith((".", "?", "…"))
    assert told.title in str(told)
    assert found(lint(json.dumps(wrong), **options)) == found(problems)


@pytest.mark.parametrize(
    "case",
    json.loads((Path(__file__).parent / "cases" / "malformed.json").read_text("utf-8")),
    ids=lambda c: c["name"],
)
def test_what_the_reader_refuses_the_lint_calls_an_error(case: dict[str, Any]) -> None:
    given = case["document"] if "document" in case else case["text"]
    assert any(problem.severity == "error" for problem in lint(given, kind=case["kind"]))


@given(policies())
def test_what_the_reader_takes_has_no_error(source: dict[str, Any]) -> None:
    problems = lint(json.dumps(source))
    assert all(problem.severity != "error" for problem in problems)
    ranks = [list(SEVERITIES).index(problem.severity) for problem in problems]
    assert ranks == sorted(ranks), "the worst first"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Version",
                        "Statement",
                        "Effect",
                        "Action",
                        "NotAction",
                        "Resource",
                        "Principal",
                        "Condition",
                        "x",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_the_reader_and_the_lint_agree_about_anything(tree: Any) -> None:
    text = json.dumps(tree)
    for kind in ("identity", "trust", "bucket", "session"):
        try:
            parse_policy(text, kind)
            legal = True
        except MalformedPolicyDocument:
            legal = False
        assert any(p.severity == "error" for p in lint(text, kind=kind)) is not legal


@pytest.mark.parametrize(
    "document",
    [
        read_objects("my-bucket", "photos/"),
        read_write_objects("my-bucket", delete=True),
        minimal_policy([("oss:GetObject", "acs:oss:*:*:my-bucket/a.png"), ("oss:ListObjects", BUCKET)]),
        SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document,
        SYSTEM_POLICIES["AliyunECSReadOnlyAccess"].document,
    ],
)
def test_what_we_write_and_the_vendor_publishes_is_clean(document: str) -> None:
    assert lint(document) == []


def test_what_is_missing_is_looked_for_in_the_whole_of_a_long_document() -> None:
    many = [allow("oss:GetObject", f"acs:oss:*:*:b-{i}/*") for i in range(200)]
    assert "missing-passrole" in {problem.code for problem in lint(doc(ATTACH, *many))}
    assert "missing-passrole" not in {problem.code for problem in lint(doc(ATTACH, *many, PASS))}


def test_the_page_s_sample_has_one_warning() -> None:
    page = (Path(__file__).parent.parent / "data" / "page_sample_policy.json").read_text("utf-8")
    assert [problem.code for problem in lint(page)] == ["passrole-on-every-role"]
    assert lint(trust_for_service(), kind="trust") == []


def test_each_mistake_of_a_document_is_told_with_its_line() -> None:
    text = json.dumps(
        doc({**GET, "Effect": "allow", "Sid": "x"}, allow("oss:HeadObject", "nonsense")), indent=1
    )
    problems = {problem.code: problem for problem in lint(text)}
    assert {"invalid-effect", "invalid-element", "invalid-arn-prefix"} <= set(problems)
    for problem in problems.values():
        member = problem.path.rpartition(".")[2]
        assert f'"{member}"' in text.splitlines()[problem.line - 1]
    with pytest.raises(ValueError, match="Did you mean 'trust'"):
        lint(text, kind="trst")  # type: ignore[arg-type]


_HEAD = '{"Version":"1","Statement":[{"Effect":"Allow",'
_SAME = '{"Effect":"Deny","Action":"oss:*a?","Resource":"acs:oss:*:*:*?b"}'

HOSTILE = {
    "noise": "import random; random.seed(1); given = random.randbytes(1_000_000)",
    "text noise": "given = 'Ä{[\"' * 250_000",
    "deep lists": "given = '[' * 500_000 + ']' * 500_000",
    "deep policy": f"given = {_HEAD!r} + '\"Action\":\"*\",\"Condition\":' + '{{\"a\":' * 100 + '1' + '}}' * 100 + '}}]}}'",
    "deep action": f"given = {_HEAD!r} + '\"Action\":' + '[' * 100 + ']' * 100 + ',\"Resource\":\"*\"}}]}}'",
    "not UTF-8": 'given = b\'{"Version": "1", "Statement": [\\xff]}\'',
    "lone surrogate": 'given = \'{"Version": "\\ud800"}\'',
    "stars": f'given = {_HEAD!r} + \'"Action":"oss:\' + \'*a\' * 30_000 + \'*","Resource":"*"}}]}}\'',
    "statements": f"given = '{{\"Version\":\"1\",\"Statement\":[' + ','.join([{_SAME!r}] * 900) + ']}}'",
    "number": """given = '{"Version":' + '9' * 100_000 + '}'""",
}

PROBE = """
import time
from pathlib import Path
from ramrole_nb.policy import lint, highlight, parse_policy, MalformedPolicyDocument
{given}
before = time.perf_counter()
for kind in ("identity", "trust", "bucket"):
    problems = lint(given, kind=kind)
    assert problems and all(p.message and p.fix for p in problems), problems
if isinstance(given, str):
    try:
        parse_policy(given)
    except MalformedPolicyDocument as error:
        assert error.message
    highlight(given, 0)
assert time.perf_counter() - before < 1, time.perf_counter() - before
# Of this program alone: getrusage() would count the memory of the process that started it, too.
status = Path("/proc/self/status")
peaks = [int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")]
assert peaks[0] < 100, peaks
print(problems[0].message)
"""


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_input_gets_a_clear_answer(name: str) -> None:
    """Within a second and 100 MB, in a process of its own."""
    code = PROBE.format(given=HOSTILE[name])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert 0 < len(done.stdout) < 2_000
