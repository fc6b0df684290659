"""Running notebooks in real kernels, and looking at what they showed and at the world they left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

import ramrole_nb
from ramrole_nb.cloud.session import Cloud
from tests.support.files import ROOT

__all__ = [
    "LESSONS",
    "NOTEBOOKS",
    "Kernel",
    "code_cells",
    "errors",
    "execute",
    "outputs",
    "run",
    "shape",
    "shown",
    "streams",
    "tags",
    "verdicts",
    "world_of",
]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.stem[:2] != "00"]
# Seconds a cell may take on a busy computer; a cell that hangs ends here.
_LONGEST = 60


def run(path: Path, folder: Path, kept: Path) -> Any:
    """Execute a notebook in a fresh kernel in `folder`, save it with outputs and widget state, and return it."""
    return execute(nbformat.read(path, as_version=4), folder, kept)  # type: ignore[no-untyped-call]


def execute(notebook: Any, folder: Path, kept: Path) -> Any:
    """Do the same with a notebook that is no file yet. `seconds` in its metadata says how long it took."""
    started = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=_LONGEST,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=True,
    )
    try:
        client.execute()
    finally:
        notebook.metadata["seconds"] = round(time.perf_counter() - started, 1)
        nbformat.write(notebook, kept)  # type: ignore[no-untyped-call]
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def outputs(notebook: Any, kind: str = "") -> Iterator[tuple[Any, Any]]:
    """Yield (cell, output), of one output type or all."""
    for cell in code_cells(notebook):
        for output in cell.get("outputs", []):
            if kind in ("", output.output_type):
                yield cell, output


def streams(notebook: Any) -> list[str]:
    return [f"{output.name}: {output.text}" for _, output in outputs(notebook, "stream")]


def errors(notebook: Any) -> list[str]:
    """Return the errors of the cells that are not tagged to raise one."""
    return [
        f"{cell.source}\n{output.ename}: {output.evalue}"
        for cell, output in outputs(notebook, "error")
        if "raises-exception" not in tags(cell)
    ]


def shown(notebook: Any, kind: str) -> str:
    """Return everything the cells showed, of one MIME type."""
    return "\n".join(str(output.get("data", {}).get(kind, "")) for _, output in outputs(notebook))


def shape(notebook: Any) -> list[list[Any]]:
    """Return each cell's outputs without their content: the type, and the MIME types it comes in."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.get("outputs", [])]
        for cell in code_cells(notebook)
    ]


def verdicts(notebook: Any) -> list[str]:
    """Return what the checks said, by cell, in order: the verdict with its exercise."""
    found = []
    for cell, output in outputs(notebook, "execute_result"):
        if cell.source.rstrip().endswith(".check()"):
            found.append(output.data["text/plain"].splitlines()[0])
    return found


# -- a kernel one talks to ------------------------------------------------------------------------------------------


class Kernel:
    """A kernel in a folder, for code that is no notebook; `kill` ends it as a crash would."""

    def __init__(self, folder: Path) -> None:
        self.manager: KernelManager
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder))

    def __call__(self, source: str) -> str:
        """Run source and return the text of its result. Raises AssertionError with the error."""
        texts: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if kind in ("execute_result", "display_data"):
                texts.append(content["data"].get("text/plain", ""))
            elif kind == "stream":
                texts.append(content["text"])

        reply = self.client.execute_interactive(source, timeout=_LONGEST, output_hook=hook)
        assert reply["content"]["status"] == "ok", f"{source}\n{reply['content'].get('evalue')}"
        return "\n".join(texts)

    def kill(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


# -- the world --------------------------------------------------------------------------------------------------------


def world_of(state: Path) -> dict[str, Any]:
    """Return what a learner can change, read with the library itself: roles, permissions, attachments, objects."""
    cloud: Cloud = ramrole_nb.connect(state=state)
    held = cloud.instances.roles(cloud.instances.all())
    return {
        "roles": {
            role.name: (
                json.loads(cloud.roles[role.name].trust_policy),
                sorted(p.name for p in role.policies()),
            )
            for role in cloud.roles
        },
        "policies": sorted(p.name for p in cloud.roles.policies(kind="Custom")),
        "attached": {vm.name: held[vm.instance_id] for vm in cloud.instances if held[vm.instance_id]},
        "metadata": {vm.name: (vm.http_tokens, vm.http_endpoint) for vm in cloud.instances},
        "objects": {b.name: sorted(o.key for o in b.list("", delimiter="")) for b in cloud.buckets},
        "ledger": sorted(cloud.created()),
    }
