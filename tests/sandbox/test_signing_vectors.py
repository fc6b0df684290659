"""The vendor's published signature vectors against the sandbox's verifiers.

tests/data/signature_vectors.json holds them, each with the page or SDK test it was published in (`source`).
facts/signing.md §2, §3 and facts/oss.md §6, §7 state the rules.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from ramrole_nb.sandbox.signing import acs3, oss_v1, oss_v4, rpc_v1

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text(encoding="utf-8")
)


def group(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("v", VECTORS[name], ids=[v["id"] for v in VECTORS[name]])


def pairs(rows: list[list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in rows]


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_every_group_and_vector_is_used() -> None:
    """A vector of a new kind must not go unread."""
    counts = {name: len(vectors) for name, vectors in VECTORS.items()}
    assert counts == {
        "oss_v1_header": 5,
        "oss_v1_presigned": 2,
        "oss_v4_header": 4,
        "oss_v4_presigned": 4,
        "openapi_v3": 2,
        "openapi_rpc_v1": 5,
    }
    assert all(v["source"] for vectors in VECTORS.values() for v in vectors)


@group("oss_v1_header")
def test_oss_v1_header(v: dict[str, Any]) -> None:
    """facts/oss.md §6; each vector names its page, e.g. .../include-signatures-in-the-authorization-header."""
    resource = oss_v1.canonical_resource(v["bucket"], v["key"] or "", pairs(v["query"]))
    text = oss_v1.string_to_sign(v["method"], lower(v["headers"]), v["date_line"], resource)
    assert text == v["string_to_sign"]
    assert oss_v1.sign(v["access_key_secret"], text) == v["expected_signature"]
    assert oss_v1.parse_authorization(v["expected_authorization"]) == (
        v["access_key_id"],
        v["expected_signature"],
    )


@group("oss_v1_presigned")
def test_oss_v1_presigned(v: dict[str, Any]) -> None:
    """facts/oss.md §6: the date line is Expires, the token is a sub-resource."""
    resource = oss_v1.canonical_resource(v["bucket"], v["key"] or "", pairs(v["query_without_signature"]))
    text = oss_v1.string_to_sign(v["method"], lower(v["headers"]), str(v["expires"]), resource)
    assert text == v["string_to_sign"]
    assert oss_v1.sign(v["access_key_secret"], text) == v["expected_signature"]


def check_v4(v: dict[str, Any], query: list[list[str]]) -> None:
    canonical = oss_v4.canonical_request(
        v["method"], v["bucket"], v["key"] or "", pairs(query), lower(v["headers"]), v["additional_headers"]
    )
    assert canonical == v["canonical_request"]
    stamp, scope = v["string_to_sign"].split("\n")[1:3]
    text = oss_v4.string_to_sign(canonical, stamp, scope)
    assert text == v["string_to_sign"]
    if v["access_key_secret"] is None:  # the page masks the secret and prints the key derived from it
        key = bytes.fromhex(v["signing_key_hex"])
        assert hmac.digest(key, text.encode(), "sha256").hex() == v["expected_signature"]
    else:
        signature = oss_v4.sign(v["access_key_secret"], text, scope[:8], v["region"])
        assert signature == v["expected_signature"]


@group("oss_v4_header")
def test_oss_v4_header(v: dict[str, Any]) -> None:
    """facts/oss.md §7: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4."""
    check_v4(v, v["query"])
    if v["expected_authorization"]:
        sent = oss_v4.parse_authorization(v["expected_authorization"])
        assert sent is not None
        assert (sent.access_key_id, sent.region_id, sent.signature) == (
            v["access_key_id"],
            v["region"],
            v["expected_signature"],
        )
        assert list(sent.additional_headers) == v["additional_headers"]
        assert sent.scope == v["string_to_sign"].split("\n")[2]


def test_oss_v4_authorization_is_read_by_name() -> None:
    """facts/oss.md §7: oss2 puts AdditionalHeaders last and a space after the comma, the docs put it before Signature."""
    v = next(v for v in VECTORS["oss_v4_header"] if v["additional_headers"] and v["expected_authorization"])
    documented = v["expected_authorization"]
    scheme, _, rest = documented.partition(" ")
    credential, extra, signature = rest.split(",")
    assert oss_v4.parse_authorization(
        f"{scheme} {credential}, {signature}, {extra}"
    ) == oss_v4.parse_authorization(documented)


@group("oss_v4_presigned")
def test_oss_v4_presigned(v: dict[str, Any]) -> None:
    """facts/oss.md §7: the parameters but x-oss-signature are signed."""
    check_v4(v, v["query_without_signature"])


@group("openapi_v3")
def test_openapi_v3(v: dict[str, Any]) -> None:
    """facts/signing.md §2: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature."""
    canonical = acs3.canonical_request(
        v["method"],
        v["uri"],
        pairs(v["query"]),
        lower(v["headers"]),
        v["signed_headers"],
        v["hashed_payload"],
    )
    assert canonical == v["canonical_request"]
    assert hashlib.sha256(canonical.encode()).hexdigest() == v["hashed_canonical_request"]
    text = acs3.string_to_sign(canonical)
    assert text == v["string_to_sign"]
    assert acs3.sign(v["access_key_secret"], text) == v["expected_signature"]
    assert acs3.parse_authorization(v["expected_authorization"]) == acs3.Authorization(
        v["access_key_id"], tuple(v["signed_headers"]), v["expected_signature"]
    )


@group("openapi_rpc_v1")
def test_openapi_rpc_v1(v: dict[str, Any]) -> None:
    """facts/signing.md §3: https://github.com/AlibabaCloudDocs/ram, call methods, signature."""
    params = list(v["params_without_signature"].items())
    text = rpc_v1.string_to_sign(v["method"], params)
    assert text == v["string_to_sign"]
    assert rpc_v1.sign(v["access_key_secret"], text) == v["expected_signature"]
    signed = [*params, ("Signature", v["expected_signature"])]
    assert rpc_v1.string_to_sign(v["method"], signed) == text, "the signature itself is not signed"
