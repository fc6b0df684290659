"""Previews of files: small, escaped, masked, and honest about what is left out."""

from __future__ import annotations

import struct
import zlib

import pytest

from ramrole_nb.redact import remember
from ramrole_nb.render.preview import MOST_PICTURE, MOST_TEXT, bytes_needed, preview


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def of(name: str, data: bytes, size: int | None = None) -> tuple[str, str, str]:
    found = preview(name, data[: bytes_needed(name)], len(data) if size is None else size)
    return found.kind, found.html, found.text


def test_a_picture() -> None:
    kind, html, text = of('a"b.PNG', png())
    assert kind == "picture"
    assert 'alt="a&quot;b.PNG"' in html
    assert "data:image/png;base64,iVBOR" in html
    assert "a picture" in text


@pytest.mark.parametrize(
    ("name", "data", "size", "why"),
    [
        ("a.png", b"<script>", None, "no picture, whatever its name says"),
        ("a.gif", png(), None, "no picture, whatever its name says"),
        ("a.png", png(), MOST_PICTURE + 1, "up to 4 MB"),
        ("a.png", png(), 10_000, "cut short"),
        ("a.svg", b"<svg onload=alert(1)>", None, "no preview of this kind"),
        ("a.bin", b"\0\1", None, "no preview of this kind"),
        ("a.txt", b"\0\1\2", None, "not text"),
        ("a.json", b"\xff\xfa\xfb", None, "not text"),
        ("a.txt", b"", None, "empty"),
        ("a.csv", b"\n", None, "empty"),
    ],
)
def test_what_is_not_shown_says_why(name: str, data: bytes, size: int | None, why: str) -> None:
    kind, html, text = of(name, data, size)
    assert kind == "none"
    assert why in html
    assert why in text
    assert "<img" not in html


def test_text_is_escaped_and_cut() -> None:
    data = ("<script>alert(1)</script>\n" + "x" * 500 + "\n" + "line\n" * 100).encode()
    kind, html, text = of("notes.md", data)
    assert kind == "text"
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "x" * 200 + "…" in html
    assert "x" * 201 not in html
    assert "the first 20 of 102 lines" in html
    assert "the first 20 of 102 lines" in text


@pytest.mark.parametrize("before", [b"", b"x"])
def test_a_long_file_is_read_in_part_only(before: bytes) -> None:
    kind, html, _ = of("a.log", before + "ü".encode() * MOST_TEXT)  # the limit falls between two bytes of one
    assert kind == "text"
    assert len(html) < 4_000
    assert "\ufffd" not in html


def test_a_text_of_windows() -> None:
    assert "grün" in of("a.txt", "grün\r\n".encode("utf-16"))[1]
    assert "\ufeff" not in of("a.txt", "grün".encode("utf-8-sig"))[1]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", 'city,"note, long"\nBeijing,"<b>2</b>"\n'),
        ("t.tsv", "city\tnote, long\nBeijing\t<b>2</b>\n"),
        ("t.csv", "city;note\nBeijing;<b>2</b>\n"),
    ],
)
def test_a_table(name: str, data: str) -> None:
    kind, html, text = of(name, data.encode())
    assert kind == "table"
    assert html.count('scope="col"') == 2
    assert "&lt;b&gt;2&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "Beijing" in text


def test_a_big_table_shows_its_first_rows_and_columns() -> None:
    row = ",".join(str(i) for i in range(30))
    _, html, text = of("t.csv", (row + "\n").encode() * 100)
    assert html.count("<tr>") == 21
    assert html.count('scope="col"') == 12
    assert "the first 20 of 99 rows, the first 12 of 30 columns" in html
    assert "the first 20 of 99 rows" in text
    assert "the first 20 rows" in of("t.csv", (row + "\n").encode() * 2_000)[1]


def test_a_table_that_cannot_be_read_as_one_is_shown_as_text() -> None:
    assert of("t.csv", b"a\rb\x0b" + b'"x' * 10)[0] in {"table", "text"}
    assert "only one line" in of("t.csv", b"only one line")[1]


def test_secrets_are_masked() -> None:
    remember("averysecretvalue1234")
    for name in ("a.txt", "a.csv"):
        _, html, text = of(name, b"key,value\nsecret,averysecretvalue1234\n")
        assert "averysecretvalue1234" not in html + text
        assert "********" in html
