"""Every notebook runs from top to bottom in a real kernel, again and again, and saves no secret."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ramrole_nb.publishing import drop_widget_views, to_html
from ramrole_nb.sandbox import process
from ramrole_nb.sandbox.run_on import child_environment
from tests.notebooks.support import (
    LESSONS,
    NOTEBOOKS,
    Kernel,
    code_cells,
    errors,
    outputs,
    run,
    shape,
    shown,
    streams,
    tags,
    verdicts,
    world_of,
)
from tests.support.files import ROOT

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder whose shared sandbox the kernels start, as a user's would; stopped at the end."""
    folder = tmp_path / "state"
    monkeypatch.setenv("RAMROLE_STATE", str(folder))
    yield folder
    process.stop(folder)


def visible(markup: str) -> str:
    """Return the words a reader sees of some HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def blanks(notebook: Any) -> list[str]:
    """Return the outputs that would be an empty place: no text, or HTML without a word or a picture."""
    found = []
    for cell, output in outputs(notebook):
        data = output.get("data")
        if data is None:
            continue
        if not data.get("text/plain", "").strip():
            found.append(f"no text/plain: {cell.source}")
        if "text/html" in data and not visible(data["text/html"]) and "<img" not in data["text/html"]:
            found.append(f"blank text/html: {cell.source}")
    return found


def without_a_form(notebook: Any) -> list[str]:
    """Return the panel cells whose output lacks the widget view, the HTML or the text."""
    return [
        cell.source
        for cell in code_cells(notebook)
        if "panel" in tags(cell)
        and not any({VIEW, "text/html", "text/plain"} <= set(o.get("data", {})) for o in cell.outputs)
    ]


def check_published(executed: Path, notebook: Any) -> None:
    """Hold that the page nbconvert makes, once the widget views are dropped, has what each panel showed."""
    page = to_html(executed)
    executed.with_suffix(".html").write_text(page, "utf-8")
    assert "widget-view+json" not in page
    assert "model not found" not in page.lower()
    seen = visible(page)
    panels = [o for cell, o in outputs(notebook) if "panel" in tags(cell)]
    assert panels
    for output in panels:
        assert visible(output.data["text/html"]) in seen
    published = drop_widget_views(notebook)
    assert "widgets" not in published.metadata
    assert VIEW not in json.dumps(published)
    assert VIEW in json.dumps(notebook), "a copy was changed, not the notebook"


def check_verdicts(path: Path, notebook: Any) -> None:
    """Hold that a notebook that is only run leaves its exercises not attempted; the gym's case is mended by typed cells."""
    said = verdicts(notebook)
    if path.stem[:2] == "06":
        assert said == ["✓ correct: Case night-shift"]
        return
    assert all("not attempted" in line for line in said), path.stem
    assert len(said) == (3 if path in LESSONS else 0)


@pytest.mark.slow
@pytest.mark.timeout(300)  # three kernels, on a busy computer
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_three_times_in_a_row_and_is_published(
    path: Path, state: Path, tmp_path: Path, artefacts: Path
) -> None:
    seen = []
    for turn in range(3):
        notebook = run(path, tmp_path, artefacts / f"{path.stem}-{turn}.ipynb")
        assert errors(notebook) == []
        assert streams(notebook) == [], "an SDK printed into the notebook"
        assert blanks(notebook) == []
        assert without_a_form(notebook) == []
        seen.append(notebook)
    assert shape(seen[0]) == shape(seen[1]) == shape(seen[2])
    assert [verdicts(n) for n in seen[1:]] == [verdicts(seen[0])] * 2
    check_verdicts(path, seen[0])
    check_published(artefacts / f"{path.stem}-2.ipynb", seen[2])
    line = process.running(state)
    assert line is not None
    entries = process.admin_of(line).journal()["entries"]
    assert [e for e in entries if e["status"] >= 500] == []
    with (artefacts / "notebook-seconds.jsonl").open("a") as file:
        file.write(
            json.dumps({"notebook": path.stem, "seconds": [n.metadata["seconds"] for n in seen]}) + "\n"
        )


def failures_shown(notebook: Any) -> list[str]:
    """Return the titles of the error cards that cells show on purpose."""
    return [
        output.data["text/plain"].splitlines()[0]
        for cell, output in outputs(notebook, "display_data")
        if "rr.show_error():" in cell.source
    ]


# What each notebook shows to fail, in order: the kind of error, and a word of it.
SHOWN = {
    "01": [("InputError", "may not assume"), ("InputError", "no role name")],
    "02": [
        ("Conflict", "already has the role"),
        ("PreflightRefused", "ram:PassRole"),
        ("InvalidRequest", "Network"),
    ],
    "03": [
        ("HardenedOnly", "without a token"),
        ("WrongRoleName", "EcsRamRol"),
        ("NoRoleAttached", "No RAM role"),
    ],
    "04": [("NotFound", "NoSuchKey"), ("AccessDenied", "PutObject")],
    "05": [("AccessDenied", "GetObject"), ("AccessDenied", "ListObjects")],
    "06": [("NotFound", "NoSuchKey"), ("AccessDenied", "PutObject")],
    "07": [("Conflict", "DeleteRole"), ("PreflightRefused", "ram:DetachPolicyFromRole")],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_they_all_run_in_sequence_and_leave_nothing_behind(
    state: Path, tmp_path: Path, artefacts: Path
) -> None:
    process.ensure(state)
    before = world_of(state)
    done = {}
    for path in NOTEBOOKS:
        notebook = run(path, tmp_path, artefacts / f"sequence-{path.stem}.ipynb")
        assert errors(notebook) == []
        check_verdicts(path, notebook)
        done[path.stem[:2]] = notebook
        if path.stem[:2] == "00":
            assert world_of(state) == before, "the first leaves nothing behind"
        if path.stem[:2] == "05":
            world = world_of(state)
            assert world["attached"]["web-1"] == "EcsRamRole"
            assert world["roles"]["EcsRamRole"][1] == ["AliyunOSSReadOnlyAccess"]
    assert world_of(state) == before
    for number, wanted in SHOWN.items():
        cards = [card for card in failures_shown(done[number]) if not card.startswith("✓")]
        assert len(cards) == len(wanted), cards
        for card, (kind, word) in zip(cards, wanted, strict=True):
            assert card.startswith(f"✕ {kind}: ")
            assert word in card


@pytest.mark.slow
def test_the_page_was_really_run_in_both_accounts(state: Path, tmp_path: Path, artefacts: Path) -> None:
    path = next(p for p in NOTEBOOKS if p.stem.startswith("04"))
    notebook = run(path, tmp_path, artefacts / "page.ipynb")
    text = shown(notebook, "text/plain")
    assert text.count("✓ Downloaded: the program") == 2
    assert "world default" in text
    new = text[text.index("program  ") :]
    rows = [line for line in new.splitlines() if re.match(r"as printed|signature V4|today ", line)][:3]
    assert "✕ refused" in rows[0]
    assert "HTTP 403 AccessDenied, EC 0002-00000080" in rows[0]
    assert "HTTP 400 PublicEndpointForbidden, EC 0048-00000401" in rows[1]
    assert "✓ downloaded" in rows[2]
    line = process.running(state)
    assert line is not None
    fetched = [
        e
        for e in process.admin_of(line).journal()["entries"]
        if e.get("operation") == "GetObject" and e["status"] == 200
    ]
    signed = [str(e["signature"]).split()[1] for e in fetched if "assumed-role/EcsRamRole" in e["principal"]]
    assert sorted(set(signed)) == ["V1", "V4"], "the printed program signs with V1, today's with V4"


@pytest.mark.slow
def test_progress_and_world_outlive_a_killed_kernel(state: Path, tmp_path: Path) -> None:
    begin = 'import ramrole_nb as rr\ncloud = rr.connect()\nlesson = rr.lesson(cloud, "01")\nlesson.prepare()'
    first = Kernel(tmp_path)
    try:
        first(begin)
        first('rr.widgets.RolePanel(cloud, name="EcsRamRole").create().wait()')
        first("lesson.q1.solution(apply=True)")
        assert "✓ correct" in first("lesson.q1.check()")
    finally:
        first.kill()
    before = world_of(state)
    second = Kernel(tmp_path)
    try:
        assert "was there" in second(begin)
        rows = second("lesson.progress()")
        assert re.search(r"01\.q1 .*✓ correct", rows)
        assert re.search(r"01\.q2 .*not checked yet", rows)
        assert "photo-reader" in second("rr.widgets.RolePanel(cloud, name='photo-reader')")
        assert "✓ correct" in second("lesson.q1.check()")
    finally:
        second.kill()
    assert world_of(state) == before


def test_the_first_shows_the_picture_the_calls_and_cleans_up(
    state: Path, tmp_path: Path, artefacts: Path
) -> None:
    notebook = run(ROOT / "notebooks" / "00_start_here.ipynb", tmp_path, artefacts / "first.ipynb")
    line = process.running(state)
    assert line is not None
    stated = next(o for b in line["buckets"] for o in b["objects"] if o["key"] == "testfolder/example.png")
    assert hashlib.sha256((tmp_path / "example.png").read_bytes()).hexdigest() == stated["sha256"]
    html, text = shown(notebook, "text/html"), shown(notebook, "text/plain")
    assert "data:image/png;base64," in html
    for call in ("Ram:CreateRole", "Ecs:AttachInstanceRamRole", "IMDS:PUT api/token", "Oss:GetObject"):
        assert call in html
        assert call in text, "the text twin shows the same"
    assert re.search(r"Oss:GetObject.*role on web-1.*AliyunOSSReadOnlyAccess", html, re.S)
    assert "delete role EcsRamRole" in html
    assert "SANDBOX" in html, "every notebook says where it is"
    entries = process.admin_of(line).journal()["entries"]
    assert [e["operation"] for e in entries if e["status"] >= 500] == []


def test_the_plain_script_does_the_same_with_the_sdks_alone(state: Path, tmp_path: Path) -> None:
    script = ROOT / "notebooks" / "plain_sdk_example.py"
    assert "ramrole_nb" not in script.read_text("utf-8").replace("ramrole_nb`", "")
    line = process.ensure(state)
    vm = line["instances"][0]
    admin = line["users"][0]
    on_the_instance = child_environment(vm["proxy_url"], os.environ)
    as_admin = {
        **on_the_instance,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": admin["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": admin["access_key_secret"],
    }
    target = tmp_path / "picture.png"
    common = ["--instance", vm["instance_id"], "--bucket", "sandbox-photos", "--to", str(target), "--http"]
    for step, environment in (("set-up", as_admin), ("download", on_the_instance), ("clean-up", as_admin)):
        done = subprocess.run(
            [sys.executable, str(script), step, *common],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    stated = next(o for b in line["buckets"] for o in b["objects"] if o["key"] == "testfolder/example.png")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == stated["sha256"]
    entries = process.admin_of(line).journal()["entries"]
    fetched = next(e for e in entries if e.get("operation") == "GetObject")
    assert "assumed-role/EcsRamRole" in fetched["principal"]
    assert fetched["signature"].startswith("OSS V4")
    assert [e["operation"] for e in entries if e.get("operation") == "DeleteRole"] == ["DeleteRole"]
