"""Every case of ``cases/``: what the vendor documents (``cite``), and our own choices (``ours``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ramrole_nb.policy import (
    MalformedPolicyDocument,
    NamedDocument,
    Outcome,
    Request,
    evaluate,
    evaluate_trust,
    parse_policy,
)

CASES = Path(__file__).parent / "cases"
EVALUATED = sorted(path.stem for path in CASES.glob("*.json") if path.stem not in ("trust", "malformed"))


def load(*stems: str) -> list[Any]:
    """Parametrize over the cases of some files."""
    return [
        pytest.param(case, id=f"{stem}: {case['name']}")
        for stem in stems
        for case in json.loads((CASES / f"{stem}.json").read_text("utf-8"))
    ]


def named(name: str, kind: str, source: dict[str, Any]) -> NamedDocument:
    """Read a document of a case; ``{"type", "document"}`` overrides the type."""
    kind, document = source.get("type", kind), source.get("document", source)
    parse_as = {"Bucket": "bucket", "Session": "session"}.get(kind, "identity")
    return NamedDocument(name, kind, parse_policy(document, parse_as))  # type: ignore[arg-type]


def documents(sources: list[dict[str, Any]], kind: str = "Custom") -> list[NamedDocument]:
    """Read a list of documents, named by their place."""
    return [named(f"policy {i}", kind, source) for i, source in enumerate(sources)]


@pytest.mark.parametrize("case", load(*EVALUATED))
def test_evaluation(case: dict[str, Any]) -> None:
    asked, expect = dict(case["request"]), case["expect"]
    asked["principal_ids"] = tuple(asked.get("principal_ids", ()))
    decision = evaluate(
        Request(**asked),
        documents(case["documents"]),
        session=named("session", "Session", case["session"]) if "session" in case else None,
        control=documents(case.get("control", []), "Control"),
    )
    assert decision.outcome is Outcome[expect["outcome"]], decision.because
    assert decision.policy_type == expect.get("policy_type", decision.policy_type)
    assert expect.get("because", "") in decision.because
    assert decision.because.endswith(".")
    if "statement" in expect:
        assert decision.matched is not None
        assert decision.matched.statement == expect["statement"]
    assert all(row.why and not row.why.endswith(".") for row in decision.trace)


@pytest.mark.parametrize("case", load("trust"))
def test_trust(case: dict[str, Any]) -> None:
    decision = evaluate_trust(case["document"], context=case.get("context"), **case["caller"])
    assert decision.outcome is Outcome[case["expect"]["outcome"]], decision.because
    assert decision.policy_type == "AssumeRolePolicy"


@pytest.mark.parametrize("case", load("malformed"))
def test_malformed(case: dict[str, Any]) -> None:
    expect, source = case["expect"], case["document"] if "document" in case else case["text"]
    for given in (source, json.dumps(source) if isinstance(source, dict) else source):
        with pytest.raises(MalformedPolicyDocument) as caught:
            parse_policy(given, case["kind"])
        assert caught.value.message == expect.get("message", caught.value.message)
        assert expect.get("contains", "") in caught.value.message
        assert caught.value.path == expect["path"]


def test_every_case_is_named_once_and_cites_something() -> None:
    for path in CASES.glob("*.json"):
        cases = json.loads(path.read_text("utf-8"))
        assert len({case["name"] for case in cases}) == len(cases), path.name
        for case in cases:
            assert case["cite"].startswith("https://") or case.get("ours"), case["name"]
