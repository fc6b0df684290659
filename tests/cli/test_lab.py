"""`ramrole lab`: the sandbox up, the notebooks in place, JupyterLab serving them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tornado import httpclient, websocket

from ramrole_nb import lab
from ramrole_nb.errors import InputError

if TYPE_CHECKING:
    from tests.cli.conftest import Ramrole

FIRST = "00_start_here.ipynb"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def get(url: str) -> tuple[int, bytes]:
    """Fetch it, trying until the server listens: it prints its address a moment earlier."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    deadline = time.monotonic() + 10
    while True:
        try:
            connection.request("GET", f"{parts.path}?{parts.query}")
            break
        except ConnectionRefusedError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


async def said_by_terminal(port: int, query: str, line: str) -> str:
    """Type a line into a new terminal of the server, and return what it shows up to the word END."""
    http_client = httpclient.AsyncHTTPClient()
    base = f"127.0.0.1:{port}"
    made = await http_client.fetch(
        f"http://{base}/api/terminals?{query}", method="POST", body="", request_timeout=20
    )
    name = json.loads(made.body)["name"]
    socket_ = await websocket.websocket_connect(f"ws://{base}/terminals/websocket/{name}?{query}")
    await socket_.write_message(json.dumps(["stdin", f"{line}; echo E''ND\r"]))
    shown = ""
    while "END" not in shown:
        message = await asyncio.wait_for(socket_.read_message(), 20)
        assert isinstance(message, str), shown
        kind, *rest = json.loads(message)
        shown += str(rest[0]) if kind == "stdout" else ""
    socket_.close()
    return shown


@pytest.mark.slow
def test_its_terminals_find_the_command(ramrole: Ramrole, tmp_path: Path) -> None:
    port = free_port()
    serving = ramrole.popen("lab", "--no-browser", "--port", str(port), "--dir", str(tmp_path / "mine"))
    assert serving.stderr
    try:
        address = ""
        deadline = time.monotonic() + 40
        while not address and time.monotonic() < deadline:
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\S+", serving.stderr.readline())
            address = found[0] if found else ""
        assert address, "it printed no address"
        get(address)  # it listens
        query = urlsplit(address).query
        shown = asyncio.run(said_by_terminal(port, query, "echo first:${PATH%%:*}:"))
        assert f"first:{Path(sys.executable).parent}:" in re.sub(r"[\r\n]", "", shown)
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=20)


def test_kernels_and_terminals_find_this_environment_first(tmp_path: Path) -> None:
    own = str(Path(sys.executable).parent)
    made = lab.lab_environment(tmp_path, {"PATH": os.pathsep.join(["/usr/bin", own, "/bin"])})
    assert made["PATH"].split(os.pathsep) == [own, "/usr/bin", "/bin"]
    assert lab.lab_environment(tmp_path, {})["PATH"].split(os.pathsep)[0] == own


@pytest.mark.slow
def test_it_serves_the_first_notebook(ramrole: Ramrole, tmp_path: Path) -> None:
    folder, port = tmp_path / "mine", free_port()
    serving = ramrole.popen("lab", "--no-browser", "--port", str(port), "--dir", str(folder))
    assert serving.stdout
    assert serving.stderr
    try:
        first = serving.stdout.readline()
        assert re.match(r"SANDBOX at http://127\.0\.0\.1:\d+, notebooks in ", first)
        address = ""
        deadline = time.monotonic() + 40
        while not address and time.monotonic() < deadline:
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\S+", serving.stderr.readline())
            address = found[0] if found else ""
        assert address, "it printed no address"
        parts = urlsplit(address)
        assert parts.port == port
        assert FIRST in parts.path  # opened at the first notebook
        status, body = get(f"http://127.0.0.1:{port}/api/contents/{FIRST}?{parts.query}")
        assert status == 200
        cells = json.loads(body)["content"]["cells"]
        shipped = json.loads((lab.shipped_notebooks() / FIRST).read_text(encoding="utf-8"))["cells"]
        assert ["".join(cell["source"]) for cell in cells] == ["".join(cell["source"]) for cell in shipped]
        assert get(address)[0] == 200
        # Nobody without the token.
        assert get(f"http://127.0.0.1:{port}/api/contents/{FIRST}")[0] == 403
        # The kernels find this sandbox.
        assert ramrole("sandbox", "status").returncode == 0
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=20)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_notebooks_are_copied_only_where_there_are_none(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    copied = lab.copy_notebooks(target)
    assert target / FIRST in copied
    assert all(path.read_bytes() == (lab.shipped_notebooks() / path.name).read_bytes() for path in copied)
    assert any(path.suffix == ".py" for path in copied)  # the plain script that is taken home
    (target / FIRST).write_text("my work")
    others = [path for path in copied if path.name != FIRST]
    others[0].unlink()
    assert lab.copy_notebooks(target) == [others[0]]
    assert (target / FIRST).read_text() == "my work"


def test_a_folder_that_cannot_be_written(tmp_path: Path, ramrole: Ramrole) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written") as caught:
        lab.copy_notebooks(tmp_path / "file" / "below")
    assert "--dir FOLDER" in caught.value.next_step
    done = ramrole("lab", "--no-browser", "--dir", str(tmp_path / "file"))
    assert done.returncode == 64
    assert "--dir FOLDER" in done.stderr
    assert not ramrole.state.exists()  # nothing was started for it


def test_nothing_of_it_leaves_the_machine(tmp_path: Path) -> None:
    command = lab.lab_command(tmp_path, browser=False, port=8890)
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.port=8890" in command
    assert "--no-browser" in command
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in command
    assert "--LabApp.extension_manager=readonly" in command
    assert "--no-browser" not in lab.lab_command(tmp_path, browser=True, port=0)
