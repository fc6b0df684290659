"""A bounded run of the fuzzer; RAMROLE_FUZZ_SECONDS=600 in the environment makes it ten minutes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.fuzz.fuzz import PATIENCE, WELL_FORMED, fuzz, one, target_of
from tests.load import talk
from tests.load.served import Served
from tests.load.talk import Connection

# Taken when this module is imported: tests run without the person's own settings.
SECONDS = float(os.environ.get("RAMROLE_FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("RAMROLE_FUZZ_SEED", "20261124"))

# The journal keeps 5,000 entries in memory: until it is full, memory grows. After that it may not.
_FULL_AFTER = 20_000


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_no_bent_request_ends_in_a_500_or_hangs_or_makes_the_server_grow(tmp_path: Path) -> None:
    with Served(tmp_path / "state") as served:
        report = fuzz(served, SECONDS, SEED)
        print(report)  # noqa: T201 - shown where the test fails, or with -s
        assert report.bad == []
        assert report.total > SECONDS * 50
        assert set(report.cases) == {*WELL_FORMED, "raw"}
        # It had to understand some of it, or it was not tested.
        assert report.statuses["200"] > report.total / 100
        assert report.slowest < PATIENCE
        warm = report.rss[len(report.rss) // 3]
        assert report.rss[-1] - warm < (8 if report.total > 3 * _FULL_AFTER else 25), report.rss
        with Connection(served.port) as connection:
            target = target_of(served)
            assert one(SEED, 0, target, connection)[1] != "closed"
    assert "unexpected" not in served.log.read_text("utf-8")


def test_a_case_follows_from_its_number(tmp_path: Path) -> None:
    with Served(tmp_path / "state") as served:
        target = target_of(served)
        for name, make in WELL_FORMED.items():
            first, second = (make(random.Random(f"7/{name}"), target) for _ in range(2))
            # Nonces and dates are of the moment; what is bent is not.
            assert (first.method, len(first.headers), len(first.body)) == (
                second.method,
                len(second.headers),
                len(second.body),
            )


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT \r\n\r\n",
        b"CONNECT \r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: hush hush\r\nBad Header\r\n\r\n",
    ],
)
def test_what_the_fuzzer_found_in_raw_http(tmp_path: Path, data: bytes) -> None:
    """An answer comes at once, and nothing of the request is in the log."""
    with Served(tmp_path / "state") as served, Connection(served.port, timeout=5) as connection:
        assert connection.send_bytes(data).status in (400, 403)
        assert served.log.read_text("utf-8") == ""


@pytest.mark.parametrize("header", ["if-modified-since", "if-unmodified-since", "date"])
def test_dates_beyond_all_bounds_are_no_dates(tmp_path: Path, header: str) -> None:
    with Served(tmp_path / "state") as served, Connection(served.port) as connection:
        request = talk.oss(
            talk.ops(served.line), "GET", "sandbox-photos", "testfolder/notes.txt", version="v1"
        )
        for date in (
            "Tue, 24 Nov 2026 08:99999999999999999999:09 GMT",
            "Tue, 99999999999999999999 Nov 2026 08:09:06 GMT",
        ):
            answer = connection.send(request.with_header(header, date))
            assert answer.status == (403 if header == "date" else 200)
