"""The vendor's own metadata of every operation in scope, for tests of the OpenAPI side.

tests/data/openapi.json holds, per product and operation: `parameters`, `errors` (code: [status, message]), the sample
answers `json` and `xml`. Made from the metadata at
https://api.aliyun.com/meta/v1/products/{Ram,Ecs,Sts}/versions/…/api-docs.json (snapshot of 2024-06-24).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.sandbox.drive import same_shape

__all__ = ["demo", "metadata", "same_shape", "sample_xml"]

_FILE = Path(__file__).parents[1] / "data" / "openapi.json"


@cache
def metadata() -> dict[str, dict[str, Any]]:
    """Product (`ram`, `ecs`, `sts`) to operation to its metadata."""
    found: dict[str, dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def demo(product: str, name: str) -> Any:
    """The documented sample answer of an operation."""
    return metadata()[product][name]["json"]


def sample_xml(product: str, name: str) -> str:
    """The documented sample answer as XML (empty: none)."""
    return str(metadata()[product][name]["xml"])
