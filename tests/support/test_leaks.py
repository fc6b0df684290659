"""The leak search finds what it must, in every form, and nothing else."""

import base64
import gzip
import html
import json
import os
import random
import string
import time
import urllib.parse
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import leaks

SECRET = "CAISwEXAMPLE+token/with=special+characters/EXAMPLE="
PLAIN = "plainEXAMPLEsecret0123456789ab"


def dump(directory: Path, content: str | bytes, name: str = "file.txt") -> list[leaks.Leak]:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return leaks.search([directory], [SECRET, PLAIN])


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        f"x{SECRET}y",
        f"https://host/?security-token={urllib.parse.quote(SECRET, safe='')}&x=1",
        urllib.parse.quote(SECRET),
        urllib.parse.urlencode({"t": SECRET}),
        urllib.parse.quote(urllib.parse.quote(SECRET, safe=""), safe=""),
        urllib.parse.quote(SECRET, safe="").replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d"),
        json.dumps({"token": SECRET}),
        json.dumps({"token": SECRET}).replace("/", "\\/"),
        json.dumps(json.dumps({"token": SECRET}).replace("/", "\\/")),
        html.escape(SECRET).replace("+", "&#43;").replace("=", "&#61;"),
        base64.b64encode(SECRET.encode()),
        base64.urlsafe_b64encode(SECRET.encode()),
        base64.b64encode(f"i-1:{SECRET}".encode()),
        base64.b64encode(f"i-12:{SECRET}@".encode()),
        base64.b64encode(f"i-123:{SECRET}@@".encode()),
        SECRET.encode().hex(),
        b"\xff\x00" + SECRET.encode() + b"\x00",
        gzip.compress(SECRET.encode(), mtime=0),
    ],
)
def test_every_form_is_found(tmp_path: Path, content: str | bytes) -> None:
    found = dump(tmp_path, content)
    assert {leak.secret for leak in found} == {SECRET}


@given(
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.text(string.ascii_letters + "+/=", min_size=10, max_size=60),
)
def test_base64_is_found_at_any_offset(before: bytes, after: bytes, secret: str) -> None:
    encoded = base64.b64encode(before + secret.encode() + after)
    assert any(form in encoded for form, name in leaks.forms(secret).items() if name == "base64")


def test_a_member_of_an_archive_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "trace.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", f"{'a' * 1000} {PLAIN}")
    (leak,) = leaks.search([tmp_path], [SECRET, PLAIN])
    assert leak.path.endswith("trace.zip!inner.txt")


def test_a_name_is_found(tmp_path: Path) -> None:
    (tmp_path / f"log-{PLAIN}").touch()
    assert [leak.form for leak in leaks.search([tmp_path], [PLAIN])] == ["as it is, in the name"]


def test_each_file_is_reported_though_the_text_is_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(PLAIN)
    assert len(leaks.search([tmp_path], [PLAIN])) == 2


def test_the_report_does_not_hold_the_secret(tmp_path: Path) -> None:
    (leak,) = dump(tmp_path, PLAIN)
    assert PLAIN not in repr(leak)
    assert "file.txt" in repr(leak)


@pytest.mark.parametrize(
    "content", ["", PLAIN[:-1], PLAIN[1:], SECRET.lower(), PLAIN[:15] + "\n" + PLAIN[15:]]
)
def test_what_is_no_secret_is_not_found(tmp_path: Path, content: str) -> None:
    assert dump(tmp_path, content) == []


@pytest.mark.parametrize("name", sorted(leaks.MAY_HOLD_SECRETS))
def test_the_files_that_may_hold_secrets_must_be_private(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(PLAIN)
    path.chmod(0o600)
    assert leaks.search([tmp_path], [PLAIN]) == []
    path.chmod(0o640)
    assert len(leaks.search([tmp_path], [PLAIN])) == 1


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(PLAIN)
    (tmp_path / "searched").mkdir()
    (tmp_path / "searched" / "link").symlink_to(tmp_path / "secrets")
    assert leaks.search([tmp_path / "searched"], [PLAIN]) == []


def test_a_sparse_file_is_searched_where_it_holds_data(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.seek(3 << 30)
        file.write(PLAIN.encode())
        file.truncate(6 << 30)
    start = time.perf_counter()
    (leak,) = leaks.search([tmp_path], [PLAIN])
    assert leak.offset == 3 << 30
    assert time.perf_counter() - start < 10  # milliseconds; a minute if the holes were read


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(leaks.SecretTooShort):
        leaks.search([tmp_path], ["short"])


def test_no_secrets_find_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("anything")
    assert leaks.search([tmp_path], []) == []


def test_thousands_of_secrets_in_many_megabytes_take_seconds(tmp_path: Path) -> None:
    rng = random.Random(1)
    letters = string.ascii_letters + string.digits
    secrets = ["".join(rng.choices(letters, k=30)) for _ in range(3000)]
    lines = [
        f"{i} GET /{rng.choice(secrets)[:9]}/{i:x} 200 {rng.random()} requestid={rng.getrandbits(96):x}"
        for i in range(60_000)
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    (tmp_path / "binary").write_bytes(os.urandom(20_000_000))
    (tmp_path / "leak").write_text(secrets[1234])
    start = time.perf_counter()
    assert [leak.secret for leak in leaks.search([tmp_path], secrets)] == [secrets[1234]]
    assert time.perf_counter() - start < 30  # about 2 s; the naive way takes minutes
