"""`explain` on texts that people, programs and pages show: the right cause, or an honest "unknown".

`corpus/observed.json` holds texts copied from public threads (keys and signatures replaced by `****`),
`documented.json` those of the vendor's pages, `sdk.json` what the official SDKs raise against the sandbox
(`test_explain_sdk.py` raises them anew), `near_misses.json` what looks like it and is something else.
"""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb.doctor.causes import CAUSES
from ramrole_nb.doctor.explanation import Explanation

_CORPUS = Path(__file__).parent / "corpus"


def load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((_CORPUS / f"{name}.json").read_text("utf-8"))
    return rows


OBSERVED, DOCUMENTED, SDK, NEAR_MISSES = map(load, ("observed", "documented", "sdk", "near_misses"))
ALL = OBSERVED + DOCUMENTED + SDK


def name_of(row: dict[str, Any]) -> str:
    source = str(row.get("link") or row.get("how") or row.get("about"))
    return f"{source.removeprefix('https://')}:{row['cause']}"


def everything(found: Explanation) -> dict[str, Any]:
    told = found.to_dict()
    return {**told, **told["denied"], **told["facts"]}


@pytest.mark.parametrize("row", ALL, ids=name_of)
def test_the_cause(row: dict[str, Any]) -> None:
    found = rr.explain(row["text"])
    assert found.cause == row["cause"]
    assert found.known is (row["cause"] != "unknown")
    told = everything(found)
    assert {name: told.get(name) for name in row.get("read", {})} == row.get("read", {})


@pytest.mark.parametrize("row", NEAR_MISSES, ids=name_of)
def test_what_only_looks_like_it_is_unknown(row: dict[str, Any]) -> None:
    found = rr.explain(row["text"])
    assert found.cause == "unknown"
    assert not found.known
    assert not found.call
    assert not found.link


def test_the_corpus_is_what_it_says() -> None:
    assert len(ALL) >= 60
    assert len(NEAR_MISSES) >= 15
    assert {row["kind"] for row in OBSERVED} == {"observed"}
    assert {row["kind"] for row in DOCUMENTED} == {"documented"}
    assert {row["kind"] for row in SDK} == {"sdk-generated"}
    assert all(row["link"].startswith("https://") for row in OBSERVED + DOCUMENTED)
    assert all(row["how"] for row in SDK)
    assert {row["cause"] for row in ALL} - {"unknown"} <= set(CAUSES)
    assert len({(row["text"], row.get("link")) for row in ALL}) == len(ALL)


_KNOWN = [row for row in ALL if row["cause"] != "unknown"]


@pytest.mark.parametrize("row", _KNOWN, ids=name_of)
def test_the_cause_survives_how_it_was_pasted(row: dict[str, Any]) -> None:
    text = row["text"]
    pasted = {
        "indented, after a prompt": "$ run\n" + "\n".join(f"    {line}" for line in text.splitlines()),
        "Windows line ends": text.replace("\n", "\r\n"),
        "coloured": f"\x1b[31m{text}\x1b[0m",
        "as bytes": text.encode(),
        "between other lines": f"INFO start\n{text}\nINFO end\n",
        "as HTML": html.escape(text),
        "in JSON": json.dumps({"log": text}),
    }
    assert {how: rr.explain(given).cause for how, given in pasted.items()} == dict.fromkeys(
        pasted, row["cause"]
    )


def test_the_header_of_a_head_request() -> None:
    body = next(row["text"] for row in DOCUMENTED if row["cause"] == "object-not-found")
    header = base64.b64encode(body.encode()).decode()
    for text in (header, f"x-oss-err: {header}", f"< HTTP/1.1 404 Not Found\n< x-oss-err: {header}\n<\n"):
        found = rr.explain(text)
        assert (found.cause, found.code, found.ec) == ("object-not-found", "NoSuchKey", "0026-00000001")
        assert dict(found.facts)["object"] == "nokey"


def test_the_forms_say_the_same() -> None:
    text = next(row["text"] for row in OBSERVED if row["cause"] == "endpoint-wrong-region")
    found = rr.explain(text)
    page, plain, marked = found.to_html(), found.to_text(), found.to_markdown()
    for value in [found.why, found.cause, found.call, found.link, *(value for _, value in found.facts)]:
        assert value in plain
        assert html.escape(value) in page
        assert value in marked.replace("\\", "")
    assert json.loads(json.dumps(found.to_dict()))["cause"] == found.cause
    assert "<script" not in page
    assert "<style" not in page
    assert found._repr_html_() == page
    assert repr(found) == str(found) == plain


def test_nothing_pasted_becomes_markup() -> None:
    found = rr.explain(
        "oss2: <Error><Code>NoSuchKey</Code><Message>&lt;img src=x onerror=alert(1)&gt; | [a](javascript:b)</Message>"
        "<BucketName>b`|*</BucketName></Error>"
    )
    assert "<img" not in found.to_html()
    assert "[a](javascript" not in found.to_markdown()
    assert found.to_markdown().count("\n| message |") == 1


def test_explaining_an_explanation_changes_nothing() -> None:
    found = rr.explain("x-oss-ec: 0002-00000003")
    assert rr.explain(found) is found


def test_what_is_unknown_shows_what_was_read() -> None:
    found = rr.explain(
        "Aliyun API Error: RequestId: 0B85B50E-D00C-4C74-AB57-FF1A0B4CA7F5 Status Code: 400 "
        "Code: Brand.New Message: Something else went wrong."
    )
    assert (found.known, found.code, found.status) == (False, "Brand.New", 400)
    assert found.message == "Something else went wrong."
    assert found.request_id == "0B85B50E-D00C-4C74-AB57-FF1A0B4CA7F5"
    assert found.link.endswith("q=Brand.New")
    assert "not known" in found.why
