"""The progress file: it outlives sessions, takes several writers, and a broken one is set aside."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.lessons import lesson
from ramrole_nb.lessons.progress import Progress
from ramrole_nb.sandbox import Sandbox

HERE = ("sandbox", "1234567890123456", "default")


def progress_in(folder: Path, place: tuple[str, str, str] = HERE) -> Progress:
    return Progress(lambda: folder, lambda: place)


def test_progress_outlives_the_session(cloud: Cloud, world: Sandbox) -> None:
    found = lesson(cloud, "01")
    found.q1.check()
    found.q1.solution(apply=True)
    cloud.roles["photo-reader"].delete()
    found.q1.check()
    rows = list(lesson(rr.connect(world), "01").progress())
    assert rows[0][0:3] == ("01.q1", "A role for instances", "○ not attempted")
    assert rows[0][3].endswith("UTC")  # once correct stays said
    assert rows[1][2] == "not checked yet"
    assert "1 of 3 exercises" in repr(lesson(rr.connect(world), "01"))


def test_restart_forgets_this_lesson_only(cloud: Cloud) -> None:
    one, two = lesson(cloud, "01"), lesson(cloud, "02")
    one.q1.solution(apply=True)
    one.q1.hint()
    two.q1.check()
    one.restart()
    assert [row[2:] for row in one.progress()] == [("not checked yet", "", "0")] * 3
    assert one.q1.hint().number == 1
    assert next(iter(two.progress()))[2] == "○ not attempted"
    assert "photo-reader" in cloud.roles  # the world stays


def test_the_file_is_private_and_whole(cloud: Cloud, world: Sandbox) -> None:
    lesson(cloud, "01").q1.check()
    path = Path(world.state) / "progress.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = json.loads(path.read_text())
    assert list(found["places"]) == [f"sandbox {world.admin.status()['account_id']} default"]
    assert not path.with_name("progress.json.new").exists()


def test_places_do_not_mix(tmp_path: Path) -> None:
    progress_in(tmp_path).checked("01", "q1", "correct", correct=True)
    other = progress_in(tmp_path, ("live", "1234567890123456", ""))
    assert other.exercise("01", "q1") == {}
    other.checked("01", "q1", "not yet", correct=False)
    assert progress_in(tmp_path).exercise("01", "q1")["outcome"] == "correct"


_WRITER = """
import sys
from pathlib import Path
from ramrole_nb.lessons.progress import Progress
folder, name, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
progress = Progress(lambda: folder, lambda: ("sandbox", "1234567890123456", "default"))
for n in range(times):
    progress.checked("01", "both", "not yet", correct=False)
    progress.hinted("02", name, n)
assert not progress.problem, progress.problem
"""


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    times = 25
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name, str(times)]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = progress_in(tmp_path)
    assert found.exercise("01", "both")["checks"] == 2 * times
    assert found.exercise("02", "a")["hints"] == found.exercise("02", "b")["hints"] == times - 1


@pytest.mark.parametrize(
    "broken", [b"{", b"[]", b"\xff\xfe", b"", b'"text"', b"[" * 100_000], ids=lambda b: repr(b[:8])
)
def test_a_broken_file_is_set_aside_and_said(cloud: Cloud, world: Sandbox, broken: bytes) -> None:
    path = Path(world.state) / "progress.json"
    for kept in path.parent.glob("progress.json.unreadable-*"):
        kept.unlink()
    path.write_bytes(broken)
    found = lesson(cloud, "01")
    assert found.q1.check().outcome == "not attempted"
    assert "kept as progress.json.unreadable-1" in repr(found)
    assert "kept as" in found._repr_html_()
    assert "kept as" in repr(found.progress())
    assert path.with_name("progress.json.unreadable-1").read_bytes() == broken
    path.write_bytes(broken)
    lesson(cloud, "01").q1.check()
    assert path.with_name("progress.json.unreadable-2").read_bytes() == broken


@pytest.mark.parametrize(
    "odd",
    [
        {"places": 1},
        {"places": {" ".join(HERE): []}},
        {"places": {" ".join(HERE): {"lessons": {"01": {"exercises": 3, "prepared": "x"}}}}},
        {
            "places": {
                " ".join(HERE): {"lessons": {"01": {"exercises": {"q1": {"hints": "x", "checks": None}}}}}
            }
        },
        {"places": {" ".join(HERE): {"lessons": {"01": {"exercises": {"q1": 1}}}}}, "more": "kept"},
    ],
)
def test_odd_contents_are_no_crash(tmp_path: Path, odd: dict[str, object]) -> None:
    (tmp_path / "progress.json").write_text(json.dumps(odd))
    progress = progress_in(tmp_path)
    assert progress.exercise("01", "q2") == {}
    progress.checked("01", "q1", "not yet", correct=False)
    progress.hinted("01", "q1", 1)
    found = progress.exercise("01", "q1")
    assert (found["outcome"], found["checks"], found["hints"]) == ("not yet", 1, 1)
    assert json.loads((tmp_path / "progress.json").read_text()).get("more") == odd.get("more")


def test_a_folder_that_cannot_be_written_costs_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    progress = progress_in(tmp_path / "file")
    progress.checked("01", "q1", "correct", correct=True)
    assert "cannot be written" in progress.problem or "cannot be read" in progress.problem
    assert progress.exercise("01", "q1") == {}
