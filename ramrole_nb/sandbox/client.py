"""Talking to a running sandbox: its runtime file, its admin interface. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..errors import START_AGAIN, InputError, SandboxError, SandboxNotRunning
from ..redact import Secret, remember

__all__ = ["AdminClient", "read_runtime"]


def read_runtime(folder: Path) -> dict[str, Any] | None:
    """Return the runtime file of a state folder, or None. Its secrets are remembered for masking."""
    try:
        found: dict[str, Any] = json.loads((folder / "runtime.json").read_text(encoding="utf-8"))
        found["admin_token"] = Secret(found["admin_token"])
        remember(found["admin_token"])
        return _hidden(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # none, or not one of ours


def _hidden(start_line: dict[str, Any]) -> dict[str, Any]:
    """Make the secrets of a start line known to the masking, and ones that do not show themselves."""
    for user in start_line["users"]:
        user["access_key_secret"] = Secret(user["access_key_secret"])
        remember(user["access_key_secret"])
    for instance in start_line["instances"]:
        remember(instance["proxy_url"].partition("@")[0].rpartition(":")[2])
        instance["proxy_url"] = Secret(instance["proxy_url"])
    return start_line


def _with_documents(found: dict[str, Any]) -> dict[str, Any]:
    """Put the policy documents beside the decisions they decided; each is sent once."""
    documents = found.pop("documents", {})
    for entry in found["entries"]:
        for decision in entry.get("decisions") or ():
            decision["text"] = documents.get(decision.get("document", ""), "")
    return found


class AdminClient:
    """The admin interface of the sandbox that runs on the state folder `folder`, now at `port`.

    A sandbox that ended and was started again has another token: it is read from the folder, and sessions go on.
    """

    def __init__(self, port: int, token: str, folder: Path) -> None:
        self._port = port
        self._token = token
        self._folder = folder

    def _call(self, method: str, what: str, body: Any = None, *, timeout: float = 10.0) -> Any:
        try:
            status, text = self._ask(method, what, body, timeout)
            again = status == 403 and self._renew()
        except SandboxNotRunning:
            if not self._renew():
                raise
            again = True
        if again:
            status, text = self._ask(method, what, body, timeout)
        told = {}
        if status == 400:
            with contextlib.suppress(ValueError):
                told = json.loads(text)
        if "error" in told:
            raise InputError(told["error"], next_step=told.get("next_step", ""))
        if status != 200:
            raise SandboxError(f"The sandbox refused {what!r}: {text.decode(errors='replace').strip()}")
        return json.loads(text)

    def _renew(self) -> bool:
        """Look whether the folder's sandbox was started again; return whether there is another one to ask."""
        runtime = read_runtime(self._folder)
        if runtime is None:
            return False
        before = (self._port, str.__str__(self._token))
        self._port, self._token = int(runtime["port"]), runtime["admin_token"]
        return (self._port, str.__str__(self._token)) != before

    def _ask(self, method: str, what: str, body: Any, timeout: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/_sandbox/{what}", data, {"x-sandbox-token": self._token})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise SandboxNotRunning(
                f"The sandbox at 127.0.0.1:{self._port} does not answer: {error}.",
                next_step=START_AGAIN,
            ) from None
        finally:
            connection.close()

    def status(self, *, timeout: float = 5.0) -> dict[str, Any]:
        """Return the start line, with knobs."""
        return _hidden(self._call("GET", "status", timeout=timeout))

    def journal(self, since: int = 0, *, wait: float = 0.0) -> dict[str, Any]:
        """Return {"entries", "last"}: up to 1,000 journal entries after `since`, waiting up to `wait` seconds for one.

        A decision's `text` is the policy document that decided, as it was then.
        """
        query = urlencode({"since": since, "wait": wait})
        return _with_documents(self._call("GET", f"journal?{query}", timeout=wait + 10))

    def journal_of(self, request_id: str) -> dict[str, Any] | None:
        """Return the journal entry of a request, or None."""
        found = _with_documents(self._call("GET", "journal?" + urlencode({"request_id": request_id})))
        return found["entries"][0] if found["entries"] else None

    def knobs(self, **values: Any) -> dict[str, Any]:
        """Set knobs (none given: none set) and return all."""
        found: dict[str, Any] = self._call("POST", "knobs", values) if values else self._call("GET", "knobs")
        return found

    def faults(self) -> list[dict[str, Any]]:
        """Return every fault, and which are on."""
        found: list[dict[str, Any]] = self._call("GET", "faults")["faults"]
        return found

    def fault(self, name: str, on: bool = True, *, instances: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Switch a fault (for some instances only: ids or names). Returns every fault, and which are on."""
        sent = {"name": name, "on": on, "instances": list(instances)}
        found: list[dict[str, Any]] = self._call("POST", "fault", sent)["faults"]
        return found

    def expire(self) -> int:
        """Expire every temporary credential at once; return how many were still valid."""
        return int(self._call("POST", "expire", {})["expired"])

    def reset(self, world: str = "") -> dict[str, Any]:
        """Put the world back (or another one in its place); port, CA and keys stay. Returns the start line."""
        return _hidden(self._call("POST", "reset", {"world": world} if world else {}, timeout=60))

    def stop(self) -> None:
        """End the server."""
        self._call("POST", "stop", {})
