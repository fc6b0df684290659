"""The policies that the builders write do what their names say, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.policy import (
    MAX_ATTACH_SESSION_POLICY,
    NamedDocument,
    Request,
    bucket_list,
    evaluate,
    minimal_policy,
    parse_policy,
    read_objects,
    read_write_objects,
)

OSS = "acs:oss:oss-cn-beijing:123:"


def allows(text: str, action: str, resource: str, **context: str) -> bool:
    request = Request(
        action, resource, context={key.replace("_", ":"): value for key, value in context.items()}
    )
    return evaluate(request, [NamedDocument("it", "Custom", parse_policy(text))]).allowed


def test_reading_a_bucket() -> None:
    text = read_objects("my-bucket")
    assert json.loads(text) == {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:my-bucket/*"]},
            {"Effect": "Allow", "Action": ["oss:ListObjects"], "Resource": ["acs:oss:*:*:my-bucket"]},
        ],
    }
    assert allows(text, "oss:GetObject", OSS + "my-bucket/testfolder/example.png")
    assert allows(text, "oss:ListObjects", OSS + "my-bucket", oss_Prefix="")
    for action, resource in [
        ("oss:PutObject", "my-bucket/k"),
        ("oss:GetObject", "my-bucket2/k"),
        ("oss:ListObjects", "other"),
        ("oss:GetBucketAcl", "my-bucket"),
    ]:
        assert not allows(text, action, OSS + resource)


def test_reading_below_a_prefix() -> None:
    text = read_objects("my-bucket", "testfolder/")
    assert allows(text, "oss:GetObject", OSS + "my-bucket/testfolder/example.png")
    assert not allows(text, "oss:GetObject", OSS + "my-bucket/other/example.png")
    assert allows(text, "oss:ListObjects", OSS + "my-bucket", oss_Prefix="testfolder/a")
    assert not allows(text, "oss:ListObjects", OSS + "my-bucket", oss_Prefix="")
    assert not allows(text, "oss:ListObjects", OSS + "my-bucket")
    assert len(text) <= MAX_ATTACH_SESSION_POLICY


def test_writing() -> None:
    text = read_write_objects("my-bucket", "in/")
    for action in ("oss:GetObject", "oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"):
        assert allows(text, action, OSS + "my-bucket/in/k")
        assert not allows(text, action, OSS + "my-bucket/out/k")
    assert not allows(text, "oss:DeleteObject", OSS + "my-bucket/in/k")
    assert allows(read_write_objects("my-bucket", delete=True), "oss:DeleteObject", OSS + "my-bucket/in/k")


def test_listing() -> None:
    assert allows(bucket_list("my-bucket"), "oss:ListObjects", OSS + "my-bucket")
    assert not allows(bucket_list("my-bucket"), "oss:GetObject", OSS + "my-bucket/k")
    assert not allows(bucket_list("my-bucket", "a/"), "oss:ListObjects", OSS + "my-bucket", oss_Prefix="b/")


BUILDERS = [read_objects, read_write_objects, bucket_list]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "bucket", ["ab", "a" * 64, "My-bucket", "my_bucket", "-ab", "ab-", "a.b", "", "abc\n", "*", "äbc"]
)
def test_bucket_names(build: Callable[..., str], bucket: str) -> None:
    with pytest.raises(ValueError, match="3 to 63 lower-case letters"):
        build(bucket)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        ("/a", "do not begin with / .*write 'a'"),
        ("\\a", "do not begin with"),
        ("a*", "meaning of their own"),
        ("a?b", "meaning of their own"),
        ("${acs:x}", "meaning of their own"),
        ("é" * 512, "at most 1023 bytes"),
    ],
)
def test_prefixes(build: Callable[..., str], prefix: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build("my-bucket", prefix)


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "0-0", "1bc"])
def test_valid_bucket_names(bucket: str) -> None:
    assert allows(read_objects(bucket, "测试/"), "oss:GetObject", f"{OSS}{bucket}/测试/例.png")


def test_the_smallest_policy_groups() -> None:
    text = minimal_policy(
        [
            ("oss:GetObject", OSS + "b/2"),
            ("oss:GetObject", OSS + "b/1"),
            ("OSS:getobject", OSS + "b/1"),
            ("oss:ListObjects", OSS + "b"),
            ("ecs:DescribeRegions", "*"),
            ("ecs:DescribeRegions", "acs:ecs:cn-beijing:123:*"),
            ("oss:GetObject", OSS + "b/2"),
        ]
    )
    assert [(s["Action"], s["Resource"]) for s in json.loads(text)["Statement"]] == [
        (["ecs:DescribeRegions"], ["*"]),
        (["oss:GetObject"], [OSS + "b/1", OSS + "b/2"]),
        (["oss:ListObjects"], [OSS + "b"]),
    ]


CALLS = st.tuples(
    st.sampled_from(["oss:GetObject", "oss:PutObject", "OSS:getobject", "ecs:RunCommand"]),
    st.sampled_from(["*", OSS + "b", OSS + "b/k", OSS + "b/l", "acs:ecs:cn-beijing:123:instance/i-1"]),
)


@given(st.lists(CALLS, min_size=1, max_size=8), CALLS)
def test_the_smallest_policy_allows_exactly_what_was_seen(
    seen: list[tuple[str, str]], other: tuple[str, str]
) -> None:
    text = minimal_policy(seen)
    assert minimal_policy(reversed(seen)) == text
    assert all(allows(text, *call) for call in seen)
    covered = any(a.lower() == other[0].lower() and r in ("*", other[1]) for a, r in seen)
    assert allows(text, *other) is covered


def test_nothing_seen() -> None:
    with pytest.raises(ValueError, match="no call was observed"):
        minimal_policy([])
    with pytest.raises(ValueError, match="Invalid action format"):
        minimal_policy([("GetObject", "*")])
