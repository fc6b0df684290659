"""Every notebook runs from top to bottom in a real kernel, again and again, and saves no secret."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from ramrole_nb.sandbox import process
from ramrole_nb.sandbox.run_on import child_environment
from tests.support.files import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder whose shared sandbox the kernels start, as a user's would; stopped at the end."""
    folder = tmp_path / "state"
    monkeypatch.setenv("RAMROLE_STATE", str(folder))
    yield folder
    process.stop(folder)


def run(path: Path, folder: Path, kept: Path) -> Any:
    """Execute a notebook in a fresh kernel in `folder`, save it with outputs and widget state, and return it."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=True,
    )
    client.execute()
    nbformat.write(notebook, kept)  # type: ignore[no-untyped-call]
    return notebook


def shown(notebook: Any, kind: str) -> str:
    """Return everything the cells showed, of one MIME type."""
    return "\n".join(
        str(output.get("data", {}).get(kind, ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_three_times_in_a_row(path: Path, state: Path, tmp_path: Path, artefacts: Path) -> None:
    seen = []
    for turn in range(3):
        notebook = run(path, tmp_path, artefacts / f"{path.stem}-{turn}.ipynb")
        errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
        assert errors == []
        streams = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream"]
        assert streams == [], "an SDK printed into the notebook"
        seen.append([c.source for c in notebook.cells])
    assert seen[0] == seen[1] == seen[2]
    line = process.running(state)
    assert line is not None


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
