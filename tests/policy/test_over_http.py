"""The evaluator and the sandbox say the same over HTTP, and the smallest policy is one with which the calls pass."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import oss2
import pytest

import ramrole_nb
from ramrole_nb.cloud.effective import compare, compare_wire, policy_lab
from ramrole_nb.errors import AccessDenied, NotFound, RamroleError
from ramrole_nb.policy import (
    NamedDocument,
    Outcome,
    Request,
    evaluate,
    from_calls,
    parse_policy,
    smallest_change,
)
from tests.policy.test_minimal import smaller

if TYPE_CHECKING:
    from ramrole_nb.cloud.objects import BoundBucket
    from ramrole_nb.cloud.roles import BoundRole
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

PHOTOS = "sandbox-photos"
KEY = "testfolder/example.png"
ACTIONS = [
    "oss:GetObject",
    "oss:ListObjects",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:GetObjectAcl",
    "oss:GetBucketInfo",
]
ACTION_PATTERNS = [*ACTIONS, "oss:*", "oss:Get*", "*", "OSS:getobject", "oss:?utObject", "ecs:*"]
RESOURCES = [
    "*",
    f"acs:oss:*:*:{PHOTOS}",
    f"acs:oss:*:*:{PHOTOS}/*",
    f"acs:oss:*:*:{PHOTOS}/testfolder/*",
    f"acs:oss:*:*:{PHOTOS}*",
    "acs:oss:oss-cn-beijing:*:sandbox-?hotos/test*",
    "acs:oss:oss-cn-hangzhou:*:*",
    "acs:oss:*:*:${acs:x}/*",
    f"acs:oss:*:999:{PHOTOS}/*",
]
CONDITIONS: list[Any] = [
    {"Bool": {"acs:SecureTransport": "true"}},
    {"Bool": {"acs:SecureTransport": "false"}},
    {"IpAddress": {"acs:SourceIp": ["SOURCE/16", "::1"]}},
    {"NotIpAddress": {"acs:SourceIp": "SOURCE/8"}},
    {"StringLike": {"oss:Prefix": ["test*", "a*"]}},
    {"StringEquals": {"oss:Prefix": ""}},
    {"StringLike": {"acs:PrincipalARN": "acs:ram::*:assumed-role/lab/*"}},
    {"StringEquals": {"acs:PrincipalRDId": "rd-1"}},
    {"DateGreaterThan": {"acs:CurrentTime": "2020-01-01T00:00:00Z"}},
    {"StringNotEquals": {"acs:SourceVpc": "vpc-1"}},
]


def random_policy(pick: random.Random) -> dict[str, Any]:
    statements = []
    for _ in range(pick.randint(1, 6)):
        statement: dict[str, Any] = {"Effect": pick.choice(["Allow", "Allow", "Allow", "Deny"])}
        statement[pick.choice(["Action"] * 6 + ["NotAction"])] = pick.sample(
            ACTION_PATTERNS, pick.randint(1, 3)
        )
        statement["Resource"] = pick.sample(RESOURCES, pick.randint(1, 2))
        if pick.random() < 0.3:
            statement["Condition"] = pick.choice(CONDITIONS)
        statements.append(statement)
    return {"Version": "1", "Statement": statements}


Call = tuple[str, str, dict[str, str], Callable[[Any], Any]]


def calls_of(bucket: str) -> list[Call]:
    """Action, relative resource, the keys it carries, and the call as oss2 makes it."""
    return [
        ("oss:GetObject", f"{bucket}/{KEY}", {}, lambda b: b.get_object(KEY).read()),
        (
            "oss:ListObjects",
            bucket,
            {"oss:Prefix": "testfolder/"},
            lambda b: b.list_objects_v2(prefix="testfolder/"),
        ),
        ("oss:ListObjects", bucket, {"oss:Prefix": ""}, lambda b: b.list_objects_v2()),
        ("oss:PutObject", f"{bucket}/new/x.txt", {}, lambda b: b.put_object("new/x.txt", b"x")),
        ("oss:DeleteObject", f"{bucket}/new/x.txt", {}, lambda b: b.delete_object("new/x.txt")),
        ("oss:GetObjectAcl", f"{bucket}/{KEY}", {}, lambda b: b.get_object_acl(KEY)),
        ("oss:GetBucketInfo", bucket, {}, lambda b: b.get_bucket_info()),
    ]


@pytest.fixture
def role(cloud: Cloud) -> BoundRole:
    made = cloud.roles.create("lab")
    cloud.instances["web-1"].attach(made)
    return made


@pytest.fixture
def bucket(cloud: Cloud, role: BoundRole) -> BoundBucket:
    assert role.name == "lab"
    return cloud.buckets[PHOTOS].using(cloud.instances["web-1"])


def test_random_policies_decide_alike_in_the_evaluator_and_over_http(
    cloud: Cloud, role: BoundRole, bucket: BoundBucket
) -> None:
    pick = random.Random(5)
    client, account = bucket.client(), cloud.identity().account_id
    seen: dict[Outcome, int] = {}
    journal = cloud.context.journal
    assert journal is not None
    vm = cloud.instances["web-1"]
    source = vm.public_ip or vm.private_ip
    for _ in range(40):
        policy = json.loads(json.dumps(random_policy(pick)).replace("SOURCE", source))
        granted = role.grant(policy)
        held = role.documents()
        assert [document.name for document in held] == [granted.name]
        for action, relative, keys, call in calls_of(PHOTOS):
            try:
                answer = call(client)
                status, request_id = 200, getattr(answer, "request_id", "")
            except oss2.exceptions.OssError as error:
                status, request_id = error.status, error.request_id
            entry = journal(request_id) if request_id else None
            resource = f"acs:oss:oss-cn-beijing:{account}:{relative}"
            context = {
                "acs:SecureTransport": "false",
                "acs:SourceIp": source,
                "acs:CurrentTime": "2026-01-01T00:00:00Z",
                "acs:PrincipalARN": f"acs:ram::{account}:assumed-role/lab/session",
                "acs:MFAPresent": "false",
                "acs:UserAgent": "x",
                "acs:AccessId": "x",
                **keys,
            }
            decision = evaluate(Request(action, resource, context["acs:PrincipalARN"], context), held)
            seen[decision.outcome] = seen.get(decision.outcome, 0) + 1
            assert (status != 403) is decision.allowed, (policy, action, status, decision.because)
            if entry:
                told = entry["decisions"][-1]
                assert (told["action"], told["resource"]) == (action, resource)
                assert told["outcome"] == decision.outcome.name, (policy, told, decision.because)
                if decision.outcome is Outcome.UNKNOWN:
                    assert told["because"].startswith("not modelled: ")
        role.revoke(granted.name)
    assert set(seen) == set(Outcome), "each outcome was met"
    assert min(seen.values()) >= 5


def pass_all(bucket: BoundBucket) -> list[bool]:
    """Make some calls through the library; tell which passed."""
    passed = []
    for call in (
        lambda: bucket.list("testfolder/"),
        lambda: bucket.head(KEY),
        bucket.info,
    ):
        try:
            call()
            passed.append(True)
        except (AccessDenied, NotFound):
            passed.append(False)
    return passed


def test_the_calls_pass_with_the_smallest_policy_and_not_with_less(
    cloud: Cloud, role: BoundRole, bucket: BoundBucket
) -> None:
    role.grant("AliyunOSSFullAccess")
    mark = cloud.wire.mark
    assert all(pass_all(bucket))
    found = from_calls(cloud.wire.since(mark, explain=True))
    assert len(found.calls) == 3, found
    role.revoke("AliyunOSSFullAccess")
    assert not any(pass_all(bucket))
    granted = role.grant(found.document)
    assert all(pass_all(bucket))
    role.revoke(granted.name)
    lesser = list(smaller(found.document))
    assert len(lesser) >= 2
    for less in lesser:
        granted = role.grant(json.loads(less))
        assert not all(pass_all(bucket)), less
        role.revoke(granted.name)


def test_the_smallest_change_lets_the_call_through(
    cloud: Cloud, role: BoundRole, bucket: BoundBucket
) -> None:
    deny = {
        "Version": "1",
        "Statement": [{"Effect": "Deny", "Action": ["oss:Get*", "oss:PutObject"], "Resource": "*"}],
    }
    held = role.grant(deny)
    with pytest.raises(AccessDenied):
        bucket.head(KEY)
    request = Request("oss:GetObject", f"acs:oss:oss-cn-beijing:{cloud.identity().account_id}:{PHOTOS}/{KEY}")
    change = smallest_change(request, role.documents())
    role.revoke(held.name)
    for document in change.documents.values():
        if document:
            role.grant(json.loads(document))
    assert bucket.head(KEY).size


def test_where_verdict_and_answer_differ_the_bucket_policy_is_named(
    cloud: Cloud, role: BoundRole, bucket: BoundBucket
) -> None:
    role.grant("AliyunOSSReadOnlyAccess")
    assert bucket.head(KEY).size
    said = compare_wire(cloud, "lab")
    assert said
    assert all(one.agrees for one in said)
    mark = cloud.wire.mark
    objects = [f"acs:oss:*:*:{PHOTOS}/*"]
    deny = {"Effect": "Deny", "Action": ["oss:GetObject"], "Principal": ["*"], "Resource": objects}
    text = {"Version": "1", "Statement": [deny]}
    cloud.buckets[PHOTOS].client().put_bucket_policy(json.dumps(text))
    with pytest.raises(AccessDenied):
        bucket.head(KEY)
    differs = compare_wire(cloud, "lab", since=mark)
    assert [one.agrees for one in differs] == [False]
    assert "something outside them decided" in differs[0].sentence
    assert "a bucket policy that denies" in differs[0].candidates
    assert "bucket policy" in repr(differs)
    assert "<table" in differs._repr_html_()
    cloud.buckets[PHOTOS].client().delete_bucket_policy()


@pytest.mark.parametrize(
    ("action", "allowed", "policy_type", "first"),
    [
        ("oss:GetObject", False, "SessionPolicy", "the session policy given when the role was attached"),
        ("ecs:RunCommand", False, "ControlPolicy", "a control policy of the resource directory"),
        ("oss:GetObject", True, "", "a bucket policy that allows"),
        ("ecs:RunCommand", True, "", "a policy granted to a resource group"),
    ],
)
def test_what_may_have_decided(action: str, allowed: bool, policy_type: str, first: str) -> None:
    grants = {
        "Version": "1",
        "Statement": [{"Effect": "Deny" if allowed else "Allow", "Action": "*", "Resource": "*"}],
    }
    held = [NamedDocument("p", "Custom", parse_policy(grants))]
    error = AccessDenied("no", access_denied_detail={"PolicyType": policy_type})
    found = compare(Request(action, "*"), held, allowed=allowed, error=error)
    assert found.agrees is False
    assert found.candidates[0] == first
    assert all("bucket" not in c for c in found.candidates) or action.startswith("oss:")
    assert "perhaps" in repr(found)


def test_the_lab_reads_the_role_s_real_policies(world: Sandbox, cloud: Cloud, role: BoundRole) -> None:
    role.grant("AliyunOSSReadOnlyAccess")
    before = cloud.wire.mark
    shown = policy_lab(cloud, "lab", ["oss:GetObject", "oss:PutObject"], [f"oss://{PHOTOS}/{KEY}"])
    assert [row[1] for row in shown.rows()] == ["✓ allowed", "– not allowed"]
    assert not [c for c in cloud.wire.since(before) if not c.action.startswith(("Get", "List"))], "read-only"
    with pytest.raises(NotFound, match="Did you mean 'lab'"):
        policy_lab(cloud, "labb", [], [])
    stranger = ramrole_nb.connect(world, user="operator")
    assert stranger.roles["lab"].documents()
    world.fault("openapi-500")
    with pytest.raises(RamroleError):
        policy_lab(cloud, "lab", [], [])
