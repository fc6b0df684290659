"""ListObjects and ListObjectsV2 through oss2, against a naive reference.

facts/oss.md §3 (https://github.com/AlibabaCloudDocs/oss, GetBucket (ListObjects) and ListObjectsV2).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import oss2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sandbox.drive import Drive, xml
from tests.sandbox.test_oss import refuses

WORLD = [
    "Testfolder/Example.PNG.txt",
    "private/salaries.csv",
    "reports/2026/sales.csv",
    "testfolder/example.png",
    "testfolder/notes.txt",
]
Entry = tuple[str, bool]  # a name, and whether it is a common prefix


def reference(keys: set[str], prefix: str, delimiter: str) -> list[Entry]:
    """What a listing holds, in the order of names in UTF-8: keys, and each common prefix once."""
    found: list[Entry] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        entry = (prefix + head + cut, True) if cut else (key, False)
        if entry not in found:
            found.append(entry)
    return found


def merged(page: Any) -> list[Entry]:
    entries = [(o.key, False) for o in page.object_list] + [(p, True) for p in page.prefix_list]
    return sorted(entries, key=lambda entry: entry[0].encode())


def pages_v1(bucket: Any, prefix: str, delimiter: str, size: int, marker: str = "") -> list[list[Entry]]:
    found = []
    while True:
        page = bucket.list_objects(prefix=prefix, delimiter=delimiter, marker=marker, max_keys=size)
        found.append(merged(page))
        assert len(found) <= 50, "the listing does not advance"
        if not page.is_truncated:
            return found
        marker = page.next_marker


def pages_v2(bucket: Any, prefix: str, delimiter: str, size: int, start_after: str = "") -> list[list[Entry]]:
    found, token = [], ""
    while True:
        page = bucket.list_objects_v2(
            prefix=prefix,
            delimiter=delimiter,
            continuation_token=token,
            start_after=start_after,
            max_keys=size,
        )
        found.append(merged(page))
        assert len(found) <= 50, "the listing does not advance"
        if not page.is_truncated:
            return found
        token = page.next_continuation_token


# Few letters, so that prefixes and delimiters collide; '' and the last code points are the hard ones.
LETTERS = st.sampled_from(
    ["a", "b", "/", "//", "ab", "\U0010ffff", "퟿", "\ue000", "ü", " ", "+", "%", "&", "\t"]
)
KEYS = st.lists(LETTERS, min_size=1, max_size=5).map("".join).filter(lambda k: not k.startswith(("/", "\\")))
PREFIXES = st.lists(LETTERS, max_size=2).map("".join)


@settings(max_examples=30)
@given(
    keys=st.sets(KEYS, max_size=10),
    prefix=PREFIXES,
    delimiter=st.sampled_from(["", "/", "a", "ab", "//", "\U0010ffff", "ü"]),
    size=st.integers(1, 5),
)
@example(keys={"a/", "a/b", "a0", "a"}, prefix="", delimiter="/", size=1)
@example(keys={"a/", "a/b"}, prefix="a/", delimiter="/", size=1)
@example(keys={"a\U0010ffff", "a\U0010ffffb", "b"}, prefix="", delimiter="\U0010ffff", size=1)
@example(keys={"\U0010fffea", "\U0010ffff"}, prefix="", delimiter="\U0010fffe", size=1)
@example(keys={"퟿a", "\ue000"}, prefix="", delimiter="퟿", size=1)
@example(keys={"aab", "aabab", "abab"}, prefix="a", delimiter="ab", size=1)
def test_concatenated_pages_equal_the_reference(
    clients: Drive, keys: set[str], prefix: str, delimiter: str, size: int
) -> None:
    """facts/oss.md §3: any page size, prefix and delimiter; every page but the last is full, and in order."""
    clients.sandbox.reset()
    bucket = clients.bucket()
    for key in keys:
        bucket.put_object(key, b"")
    expected = reference({*keys, *WORLD}, prefix, delimiter)
    cut = [expected[i : i + size] for i in range(0, len(expected), size)] or [[]]
    assert pages_v1(bucket, prefix, delimiter, size) == cut
    assert pages_v2(bucket, prefix, delimiter, size) == cut


@settings(max_examples=20)
@given(
    keys=st.sets(KEYS, max_size=8), after=st.one_of(KEYS, PREFIXES), prefix=PREFIXES, size=st.integers(1, 5)
)
def test_marker_and_start_after(clients: Drive, keys: set[str], after: str, prefix: str, size: int) -> None:
    """facts/oss.md §3: what follows `marker` / `start-after`, which need not exist."""
    clients.sandbox.reset()
    bucket = clients.bucket()
    for key in keys:
        bucket.put_object(key, b"")
    kept = {k for k in {*keys, *WORLD} if k.encode() > after.encode()}
    expected = reference(kept, prefix, "")
    for found in (pages_v1(bucket, prefix, "", size, after), pages_v2(bucket, prefix, "", size, after)):
        assert [entry for page in found for entry in page] == expected


def test_defaults_and_items(drive: Drive) -> None:
    """facts/oss.md §3: 100 by default; oss2's required fields; Owner in V1, in V2 only with fetch-owner."""
    bucket = drive.bucket()
    page = bucket.list_objects()
    assert [o.key for o in page.object_list] == WORLD
    photo = next(o for o in page.object_list if o.key == "testfolder/example.png")
    head = bucket.head_object(photo.key)
    assert (photo.size, photo.etag, photo.type, photo.storage_class) == (
        head.content_length,
        head.etag,
        "Normal",
        "Standard",
    )
    assert photo.last_modified == head.last_modified
    assert photo.owner.id == drive.account
    assert bucket.list_objects_v2().object_list[0].owner is None
    assert bucket.list_objects_v2(fetch_owner=True).object_list[0].owner.id == drive.account


def raw(drive: Drive, **params: str) -> ET.Element:
    """A listing as it is on the wire."""
    bucket = drive.bucket()
    body = bucket._do("GET", bucket.bucket_name, "", params=params).read()
    return xml(body)


def test_documented_elements(drive: Drive) -> None:
    """facts/oss.md §3: the elements of the documented ListObjectsV2 answer, KeyCount counting prefixes too."""
    params = {"list-type": "2", "prefix": "", "delimiter": "/", "max-keys": "3", "encoding-type": "url"}
    root = raw(drive, **params, **{"continuation-token": "", "start-after": "", "fetch-owner": "false"})
    given = {e.tag: e.text for e in root}
    assert root.tag == "ListBucketResult"
    assert (given["Name"], given["MaxKeys"], given["Delimiter"], given["EncodingType"]) == (
        "sandbox-photos",
        "3",
        "%2F",
        "url",
    )
    assert (given["Prefix"], given["StartAfter"]) == (None, None)
    assert (given["IsTruncated"], given["KeyCount"]) == ("true", "3")
    assert given["NextContinuationToken"]
    item = raw(drive, **{"list-type": "2"}).find("Contents")
    assert item is not None
    assert [e.tag for e in item] == ["Key", "LastModified", "ETag", "Type", "Size", "StorageClass"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", item.findtext("LastModified", ""))
    assert re.fullmatch(r'"[0-9A-F]{32}"', item.findtext("ETag", ""))


def test_encoding_type(drive: Drive) -> None:
    """facts/oss.md §3: keys are URL-encoded with encoding-type=url, plain without; control characters need it."""
    bucket = drive.bucket()
    odd = ["a b+c%d&<e>", "ü\t", "ctrl\x01"]
    for key in odd:
        bucket.put_object(f"odd/{key}", b"")
    assert {o.key for o in oss2.ObjectIteratorV2(bucket, prefix="odd/")} == {f"odd/{key}" for key in odd}
    assert {o.key for o in oss2.ObjectIterator(bucket, prefix="odd/")} == {f"odd/{key}" for key in odd}
    encoded = raw(drive, **{"list-type": "2", "prefix": "odd/a", "encoding-type": "url"})
    assert encoded.findtext("Contents/Key") == "odd%2Fa%20b%2Bc%25d%26%3Ce%3E"
    plain = raw(drive, **{"list-type": "2", "prefix": "odd/a"})
    assert plain.findtext("Contents/Key") == "odd/a b+c%d&<e>"
    assert plain.find("EncodingType") is None


@pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "1e2"])
def test_max_keys(drive: Drive, size: str) -> None:
    """facts/oss.md §3: 1-1000. The message's text is ours."""
    for extra in ({}, {"list-type": "2"}):
        error = refuses(lambda extra=extra: raw(drive, **{"max-keys": size}, **extra), 400, "InvalidArgument")  # type: ignore[misc]
        assert error.details["ArgumentName"] == "max-keys"


def test_bad_token_and_encoding(drive: Drive) -> None:
    """Ours: InvalidArgument for a token that was not given out, and for another encoding."""
    refuses(lambda: raw(drive, **{"list-type": "2", "continuation-token": "ü"}), 400, "InvalidArgument")
    refuses(lambda: raw(drive, **{"encoding-type": "base64"}), 400, "InvalidArgument")


def test_page_sizes(drive: Drive) -> None:
    """facts/oss.md §3: 100 by default, up to 1000."""
    bucket = drive.bucket(path_style=True)
    for number in range(150):
        bucket.put_object(f"many/{number:03}", b"")
    for call in (bucket.list_objects, bucket.list_objects_v2):
        page = call(prefix="many/")
        assert (len(page.object_list), page.is_truncated) == (100, True)
        page = call(prefix="many/", max_keys=1000)
        assert (len(page.object_list), page.is_truncated) == (150, False)
