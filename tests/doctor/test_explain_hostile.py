"""Hostile input gets a clear answer within a second and 100 MB. Measured in a child process with limits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doctor.hostile_texts import CASES

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", CASES)
def test_a_clear_answer_in_a_second_and_100_mb(name: str) -> None:
    command = [sys.executable, "-m", "tests.doctor.hostile_texts", name]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False, cwd=_ROOT)
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    told = json.loads(done.stdout)
    assert told["seconds"] < 1
    assert told["grown"] < 100 * 1024  # KiB
    assert told["why"]
    assert told["longest"] < 20_000
    assert told["encodes"]
    assert not told["known"]
