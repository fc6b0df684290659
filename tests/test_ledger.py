"""The ledger: what it says after a crash is what there is to clean up."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramrole_nb.errors import InputError, StateError
from ramrole_nb.ledger import KINDS, Entry, Ledger, plan
from ramrole_nb.redact import MASK, forget_all, remember


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, mode="sandbox", account_id="1", world="default")


def test_an_entry_is_on_disk_before_the_call(ledger: Ledger) -> None:
    entry = ledger.intend("role", "R", path="/")

    row = json.loads(ledger.path.read_text())

    assert row == {
        "id": entry.id,
        "time": entry.time,
        "kind": "role",
        "name": "R",
        "details": {"path": "/"},
        "mode": "sandbox",
        "account_id": "1",
        "world": "default",
        "state": "intended",
        "undone": False,
    }
    assert entry.time.endswith("Z")


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_only_its_owner_reads_the_file(ledger: Ledger) -> None:
    ledger.path.touch(mode=0o644)

    ledger.intend("role", "R")

    assert {stat.S_IMODE(p.stat().st_mode) for p in ledger.path.parent.iterdir()} == {0o600}


def test_what_became_of_an_entry(ledger: Ledger) -> None:
    made, refused, gone, unknown = (
        ledger.intend("role", name) for name in ("made", "refused", "gone", "unknown")
    )
    ledger.done(made, role_id="3")
    ledger.failed(refused)
    ledger.undone(ledger.done(gone))

    left = Ledger(ledger.path, mode="sandbox", account_id="1", world="default").open_entries()

    assert [(e.name, e.certain, dict(e.details)) for e in left] == [
        ("made", True, {"role_id": "3"}),
        ("unknown", False, {}),
    ]
    assert [(e.name, e.state, e.undone) for e in ledger.entries()] == [
        ("made", "done", False),
        ("refused", "failed", False),
        ("gone", "undone", True),
        ("unknown", "intended", False),
    ]
    assert unknown.open
    assert ledger.problems == ()


def test_many_at_once_are_written_in_one_go(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    fsync = os.fsync

    def counted(fd: int) -> None:
        waits.append(fd)
        fsync(fd)

    monkeypatch.setattr("os.fsync", counted)
    entries = ledger.intend_many(
        "attachment", [f"i-{n}" for n in range(300)], role="R", region_id="cn-beijing"
    )
    assert len(waits) <= 2  # the file and, the first time, its folder
    assert [entry.name for entry in ledger.open_entries()] == [f"i-{n}" for n in range(300)]
    assert not any(entry.certain for entry in ledger.open_entries())
    assert all(entry.details == {"role": "R", "region_id": "cn-beijing"} for entry in ledger.open_entries())
    ledger.settle(done=entries[:100], failed=entries[100:290])
    assert [entry.certain for entry in ledger.open_entries()] == [True] * 100 + [False] * 10
    ledger.settle(undone=entries[:100])
    assert [entry.name for entry in ledger.open_entries()] == [f"i-{n}" for n in range(290, 300)]
    before = ledger.path.read_bytes()
    ledger.settle()
    assert ledger.intend_many("role", []) == []
    with pytest.raises(InputError):
        ledger.intend_many("role", ["A", ""])
    assert ledger.path.read_bytes() == before


def test_only_the_entries_of_this_mode_account_and_world(ledger: Ledger) -> None:
    ledger.intend("role", "here")
    ledger.mode, ledger.account_id, ledger.world = "live", "2", ""
    ledger.intend("role", "there")

    assert [e.name for e in ledger.open_entries()] == ["there"]
    assert [e.name for e in ledger.open_entries(mode="sandbox", account_id="1", world="default")] == ["here"]
    assert ledger.open_entries(mode="sandbox") == []


def test_reading_makes_no_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none" / "ledger.jsonl")

    assert ledger.open_entries() == []
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_undoing(ledger: Ledger) -> None:
    for kind, name in [
        ("bucket", "b"),
        ("role", "r1"),
        ("role", "r2"),
        ("policy", "p"),
        ("telescope", "t"),
        ("grant", "g"),
        ("attachment", "a"),
        ("object", "o"),
        ("file", "f"),
    ]:
        ledger.done(ledger.intend(kind, name))

    assert [e.name for e in plan(ledger.entries())] == ["a", "g", "p", "r2", "r1", "o", "b", "f", "t"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KINDS, "other"]), st.sampled_from(["intended", "done", "failed", "undone"])
        )
    )
)
def test_a_plan_holds_every_open_entry_once_in_order(rows: list[tuple[str, str]]) -> None:
    entries = [Entry(str(i), f"{i:06}", kind, f"n{i}", state=state) for i, (kind, state) in enumerate(rows)]

    planned = plan(entries)

    assert sorted(e.id for e in planned) == sorted(e.id for e in entries if e.open)
    ranks = [(*KINDS, "other").index(e.kind) for e in planned]
    assert ranks == sorted(ranks)
    for one, next_ in pairwise(planned):
        assert one.kind != next_.kind or one.time > next_.time


def test_no_secret_is_written(ledger: Ledger) -> None:
    remember("WHOLLY-MADE-UP-VALUE")
    try:
        ledger.done(
            ledger.intend("object", "k", note="it is WHOLLY-MADE-UP-VALUE", access_key_secret="abcdefghijkl"),
            deep={"security_token": "CAISabcdefgh", "list": ["WHOLLY-MADE-UP-VALUE", 3, None]},
        )
        text = ledger.path.read_text()
        (entry,) = ledger.entries()
    finally:
        forget_all()

    for secret in ("WHOLLY-MADE-UP-VALUE", "abcdefghijkl", "CAISabcdefgh"):
        assert secret not in text
    assert entry.details["note"] == f"it is {MASK}"
    assert entry.details["deep"]["list"] == [MASK, 3, None]


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), SCALARS | st.lists(SCALARS, max_size=3), max_size=4))
def test_any_detail_makes_one_readable_line(details: dict[str, object]) -> None:
    line = Entry("1", "t", "role", "R", details=details).to_line()

    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line)["details"] == details


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_off_by_a_crash_loses_only_itself(ledger: Ledger, cut: int) -> None:
    first = ledger.done(ledger.intend("role", "first"))
    whole = ledger.path.read_bytes()
    torn = ledger.intend("role", "torn").to_line().encode()
    ledger.path.write_bytes(whole + torn[:cut])

    assert [e.id for e in ledger.entries()] == [first.id]
    assert len(ledger.problems) == 1
    assert "cut off" in ledger.problems[0]

    after = ledger.intend("role", "after")

    assert [e.id for e in ledger.entries()] == [first.id, after.id]
    assert "line 3 of 4" in ledger.problems[0]


def test_a_whole_line_without_its_newline_counts(ledger: Ledger) -> None:
    ledger.intend("role", "R")
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))

    assert [e.name for e in ledger.entries()] == ["R"]
    assert ledger.problems == ()
    ledger.intend("role", "S")
    assert [e.name for e in ledger.entries()] == ["R", "S"]


@pytest.mark.parametrize("bad", [b"\x00\xff\xfe", b"[]", b"{}", b'{"id": 3}', b"[" * 5000, b"null"])
def test_a_corrupt_line_is_kept_aside_and_reported(ledger: Ledger, bad: bytes) -> None:
    ledger.intend("role", "before")
    with ledger.path.open("ab") as file:
        file.write(bad + b"\n")
    ledger.intend("role", "after")

    assert [e.name for e in ledger.entries()] == ["before", "after"]
    assert "line 2 of 3" in ledger.problems[0]

    ledger.compact()

    assert [e.name for e in ledger.entries()] == ["before", "after"]
    assert ledger.problems == ()
    assert ledger.path.with_name("ledger.jsonl.unreadable").read_bytes() == bad + b"\n"


def test_compact_keeps_what_is_open_in_its_order(ledger: Ledger) -> None:
    kept = [ledger.done(ledger.intend("role", f"r{i}")) for i in range(3)]
    ledger.undone(kept.pop(1))

    assert ledger.compact() == 5
    assert ledger.entries() == kept
    assert ledger.compact() == 0


def test_a_long_ledger_compacts_itself(ledger: Ledger) -> None:
    kept = ledger.done(ledger.intend("role", "kept"))
    gone = ledger.intend("role", "gone")
    with ledger.path.open("a") as file:
        file.write(ledger.undone(gone).to_line() * 1500)

    last = ledger.intend("role", "last")

    assert len(ledger.path.read_text().splitlines()) == 2
    assert [e.id for e in ledger.open_entries()] == [kept.id, last.id]


def test_an_entry_needs_a_kind_and_a_name(ledger: Ledger) -> None:
    with pytest.raises(InputError):
        ledger.intend("", "R")
    with pytest.raises(InputError):
        ledger.intend("role", "")
    assert not ledger.path.exists()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "ledger.jsonl")

    with pytest.raises(StateError, match="cannot be used"):
        ledger.intend("role", "R")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_stops_the_call_that_would_not_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.symlink_to("/dev/full")

    with pytest.raises(StateError, match="No space left"):
        Ledger(path).intend("role", "R")


# ---- several processes

CHILD = textwrap.dedent(
    """
    import sys
    from ramrole_nb.ledger import Ledger
    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ledger = Ledger(path, mode="sandbox", account_id="1", world="default")
    n = 0
    while n != count:
        entry = ledger.intend("role", f"{name}-{n}", padding="x" * 3000)
        print(entry.id, flush=True)
        ledger.done(entry)
        n += 1
    """
)


def child(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    root = Path(__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_eight_processes_lose_no_line(ledger: Ledger) -> None:
    children = [child(ledger.path, f"p{i}", 40) for i in range(8)]
    # One compacts meanwhile: nobody may go on appending to the file it replaced.
    for _ in range(5):
        ledger.compact()
    ids: list[str] = []
    for process in children:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        ids += out.split()

    found = ledger.open_entries()

    assert len(ids) == 320
    assert sorted(e.id for e in found) == sorted(ids)
    assert all(e.certain for e in found)
    assert ledger.problems == ()
    for i in range(8):
        mine = [e.name for e in found if e.name.startswith(f"p{i}-")]
        assert mine == [f"p{i}-{n}" for n in range(40)]


def test_threads_lose_no_line(ledger: Ledger) -> None:
    def work(i: int) -> None:
        for n in range(20):
            ledger.done(ledger.intend("role", f"t{i}-{n}"))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ledger.open_entries()) == 120
    assert ledger.problems == ()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("after", [1, 5, 17])
def test_kill_in_the_middle_of_writing_keeps_what_was_told(ledger: Ledger, after: int) -> None:
    process = child(ledger.path, "k", -1)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    told += [line for line in rest.split("\n")[:-1] if line]

    found = {e.id: e for e in ledger.open_entries()}

    assert set(told) <= set(found)  # whoever was told an id may have made the call
    assert all(found[i].certain for i in told[:-1])
    assert len(found) <= len(told) + 1
    # And the ledger is usable by the next process at once: the dead one's lock is gone.
    ledger.intend("role", "next")
    assert "next" in [e.name for e in ledger.open_entries()]
