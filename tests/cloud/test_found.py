"""What a bucket gives: listings that say whether there is more, files with a preview, keys almost right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.found import DownloadedFile, Listing
from ramrole_nb.errors import AccessDenied, InvalidRequest, NotFound
from ramrole_nb.models import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands

KEY = "testfolder/example.png"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("key", "kind", "shown"),
    [
        (KEY, "picture", '<img alt="example.png"'),
        ("testfolder/notes.txt", "text", "A text file beside the picture."),
        ("reports/2026/sales.csv", "table", "88210.50"),
    ],
)
def test_a_downloaded_file_shows_itself(cloud: Cloud, key: str, kind: str, shown: str) -> None:
    file = cloud.buckets["sandbox-photos"].download(key)
    assert file.preview().kind == kind
    bundle = file._repr_mimebundle_()
    assert shown in bundle["text/html"]
    for text in bundle.values():
        assert file.crc64 in text
        assert f"{file.size:,} bytes" in text
        assert file.verified in text


def test_a_file_that_was_moved_away_still_says_what_it_was(cloud: Cloud) -> None:
    file = cloud.buckets["sandbox-photos"].download(KEY)
    file.unlink()
    for text in file._repr_mimebundle_().values():
        assert "no longer there" in text
        assert "67,585 bytes" in text


def test_a_big_picture_is_not_put_into_the_notebook(tmp_path: Path) -> None:
    path = DownloadedFile(tmp_path / "big.png")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 5_000_000)
    path.size = 5_000_008
    assert path.preview().kind == "none"
    assert len(path.preview().html) < 3_000


def test_a_listing_says_whether_there_is_more(cloud: Cloud) -> None:
    bucket = cloud.buckets["sandbox-photos"]
    whole = bucket.list(delimiter="")
    assert not whole.truncated
    assert whole.counted() == "5 objects"
    part = bucket.list(delimiter="", limit=3)
    assert part.truncated
    assert "3 objects, and more" in repr(part)
    assert "limit=" in part._repr_html_()
    assert bucket.list("nothing/").counted() == "nothing"
    assert bucket.list().counted() == "4 folders"


def test_a_long_listing_is_shown_in_part() -> None:
    objects = tuple(ObjectInfo("b", f"key-{number}", number) for number in range(1_000))
    listing = Listing("b", "p/", objects, ("p/one/",))
    assert listing._repr_html_().count("<tr>") == 101
    assert "the first 100 rows of 1 folder and 1,000 objects" in listing._repr_html_()
    assert "the first 100 rows of" in repr(listing)
    assert len(listing.rows()) == 1_001
    assert listing.where == "oss://b/p/"


@pytest.mark.parametrize(
    "key", ["testfolder/Example.png", "TESTFOLDER/EXAMPLE.PNG", "testfolder/exmaple.png", "example.png"]
)
def test_a_key_almost_right_is_named(cloud: Cloud, key: str) -> None:
    mark = cloud.wire.mark
    with pytest.raises(NotFound) as caught:
        cloud.buckets["sandbox-photos"].download(key)
    assert f"Did you mean {KEY!r}?" in caught.value.what
    assert [call.action for call in cloud.wire.since(mark) if not call.check] == ["GetObject"]


def test_who_may_not_look_around_gets_no_hint_and_the_same_error(
    hands: Hands, as_user: Callable[..., Cloud]
) -> None:
    hands.let("viewer", ("Allow", ["oss:GetObject", "oss:ListBuckets"], "*"))
    bucket = as_user("viewer").buckets["sandbox-photos"]
    with pytest.raises(AccessDenied):
        bucket.list()
    with pytest.raises((NotFound, AccessDenied)) as caught:
        bucket.download("testfolder/Example.png")
    assert "Did you mean" not in caught.value.what


def test_a_new_account_is_told_the_way(world: Sandbox) -> None:
    world.fault("public-endpoint-forbidden")
    with pytest.raises(InvalidRequest) as caught:
        rr.connect(world).buckets["sandbox-photos"].download(KEY)
    assert caught.value.code == "PublicEndpointForbidden"
    assert "public endpoint" in caught.value.reason
    assert "bucket.using(vm)" in caught.value.next_step


def test_the_wire_tells_where_and_on_which_instance(cloud: Cloud) -> None:
    cloud.roles.create("R").grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach("R")
    cloud.buckets["sandbox-photos"].using(vm).download(KEY)
    calls = cloud.wire.since()
    got = next(call for call in calls if call.action == "GetObject")
    assert (got.params["region_id"], got.params["internal"]) == ("cn-beijing", "True")
    asked = [call for call in calls if call.service == "IMDS"]
    assert asked
    assert {call.params["instance_id"] for call in asked} == {vm.instance_id}
