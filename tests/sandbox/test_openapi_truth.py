"""docs/openapi.md and the tables behind it, against the register, the vendor's metadata and the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ramrole_nb.sandbox.openapi import Operation, operations
from ramrole_nb.sandbox.services import openapi_truth as truth
from tests.sandbox.vendor import metadata

_HERE = Path(__file__).parent
_DOCS = _HERE.parents[1] / "docs" / "openapi.md"
_TESTS = "\n".join(
    path.read_text(encoding="utf-8") for path in _HERE.glob("test_*.py") if path != Path(__file__)
)


def test_the_document_is_current() -> None:
    """Made anew by: python -m ramrole_nb.sandbox.services.openapi_truth > docs/openapi.md."""
    assert _DOCS.read_text(encoding="utf-8") == truth.render_markdown()


@pytest.mark.parametrize("found", operations(), ids=lambda o: f"{o.product}.{o.name}")
def test_every_documented_code_is_in_one_of_the_tables(found: Operation) -> None:
    produced = truth.PRODUCED[found.name]
    never = truth.NOT_PRODUCED.get(found.name, {})
    assert len(set(produced)) == len(produced)
    assert not set(produced) & set(never)
    documented = metadata()[found.product.lower()].get(found.name, {"errors": {}})["errors"]
    assert set(documented) <= set(produced) | set(never)
    assert set(never) - {"InternalError", "ServiceUnavailable"} <= set(documented)


def _tested(code: str) -> bool:
    """Tell whether a test names a code: whole, or its last part where an f-string makes the rest."""
    if re.search(rf"\"{re.escape(code)}\"", _TESTS):
        return True
    parts = code.split(".")
    for cut in range(1, len(parts)):
        head, tail = ".".join(parts[:cut]), ".".join(parts[cut:])
        if re.search(rf"f\"{re.escape(head)}\.\{{", _TESTS) and f'"{tail}"' in _TESTS:
            return True
    return False


def test_every_code_that_is_answered_is_tested() -> None:
    codes = {code for codes in truth.PRODUCED.values() for code in codes} | set(truth.GATEWAY)
    assert sorted(code for code in codes if not _tested(code)) == []


def test_rows() -> None:
    registered = {(o.product, o.name) for o in operations()}
    for service, name, behaviour, basis, source in truth.ROWS:
        assert (service, name) in registered or (service, name) == ("OpenAPI", "*")
        assert behaviour
        assert basis in ("documentation", "client", "ours")
        assert source.startswith("https://") is (basis != "ours"), source
    assert len(set(truth.ROWS)) == len(truth.ROWS)
