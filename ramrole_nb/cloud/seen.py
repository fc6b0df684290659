"""Seeing the metadata requests of one instance, whoever makes them: the sandbox's journal, or (live) only our own."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .context import Context
from .metadata import HARDENED, NORMAL, MetadataStep
from .method_run import MethodRequest
from .wire import WireCall

__all__ = ["CHECKS", "NOBODY_SEES", "OURS", "RequestsSeen", "request_of_call", "request_of_step"]

OURS = "ramrole_nb"
# The client that looks whether an exercise is done: its requests are nobody's use of the credential.
CHECKS = "ramrole_nb-check"
NOBODY_SEES = (
    "Live, nobody but the metadata service sees the requests of another program, so none are listed."
)

# The journal gives so many entries at once, at most.
_PAGE = 1_000
_NEVER = 2**62
_HEADERS = {
    "x-aliyun-ecs-metadata-token": "X-aliyun-ecs-metadata-token",
    "x-aliyun-ecs-metadata-token-ttl-seconds": "X-aliyun-ecs-metadata-token-ttl-seconds",
}


class RequestsSeen:
    """The requests of an instance since this was made, or since they were last taken.

    `counts` adds up those to the metadata service by the program that made them. In a live session only this package's own
    requests are seen.
    """

    def __init__(self, context: Context, instance_id: str) -> None:
        self._context = context
        self._instance_id = instance_id
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._mark = self._end()

    def _end(self) -> int:
        if self._context.sandbox is not None:
            return int(self._context.sandbox.journal(_NEVER)["last"])
        return self._context.wire.mark

    def take(self) -> tuple[MethodRequest, ...]:
        """Return what is new, oldest first."""
        with self._lock:
            found = self._from_journal() if self._context.sandbox is not None else self._from_wire()
            for request in found:
                if request.is_metadata:
                    self.counts[request.maker] = self.counts.get(request.maker, 0) + 1
            return tuple(found)

    def skip(self) -> None:
        """Leave out what is new: an experiment's requests are nobody's use."""
        with self._lock:
            self._mark = self._end()

    def _from_journal(self) -> list[MethodRequest]:
        found: list[MethodRequest] = []
        while True:
            entries = self._context.sandbox.journal(self._mark)["entries"]
            for entry in entries:
                self._mark = int(entry["seq"])
                if entry.get("instance_id") == self._instance_id and entry.get("method") != "CONNECT":
                    found.append(_request(entry))
            if len(entries) < _PAGE:
                return found

    def _from_wire(self) -> list[MethodRequest]:
        # The one instance that can be asked live is the one this program runs on.
        found = []
        for call in self._context.wire.since(self._mark):
            self._mark = call.seq
            if call.service == "IMDS":
                found.append(request_of_call(call))
        return found


def request_of_call(call: WireCall) -> MethodRequest:
    """Return a metadata request that the wire recorded."""
    method, _, path = call.action.partition(" ")
    sent = tuple((name, str(value)) for name, value in call.params.items() if name != "instance_id")
    mode = NORMAL if method == "GET" and not sent else HARDENED
    step = MetadataStep(method, f"/latest/{path}", sent, call.status, "", call.ms)
    return MethodRequest(method, step.path, mode, call.status, call.ms, OURS, step.curl)


def request_of_step(step: MetadataStep) -> MethodRequest:
    """Return a step of our own metadata client as a request."""
    mode = NORMAL if step.method == "GET" and not step.headers else HARDENED
    return MethodRequest(step.method, step.path, mode, step.status, step.ms, OURS, step.curl)


def _request(entry: Mapping[str, Any]) -> MethodRequest:
    headers = entry.get("headers", {})
    status, ms = int(entry.get("status", 0)), float(entry.get("ms", 0.0))
    maker = _maker(str(headers.get("user-agent", "")))
    if entry.get("service") != "IMDS":
        target = f"{entry.get('service', '')}:{entry.get('operation', '')}"
        return MethodRequest(entry["method"], target, "", status, ms, maker)
    sent = tuple(
        (name, "$TOKEN" if value.startswith("*") else value)
        for key, name in _HEADERS.items()
        if (value := headers.get(key))
    )
    path = urlsplit(entry["url"]).path
    step = MetadataStep(entry["method"], path, sent, status, "", ms)
    mode = HARDENED if sent or step.method == "PUT" else NORMAL
    return MethodRequest(step.method, path, mode, status, ms, maker, step.curl)


def _maker(user_agent: str) -> str:
    """Return whose program a user agent is, in words; our metadata client sends none."""
    if not user_agent:
        return OURS
    if "Credentials/" in user_agent:
        language = re.search(r"\b(Python|Golang|Java|Node\.js|PHP|\.NET)\b", user_agent)
        return f"Credentials tool ({language[0]})" if language else "Credentials tool"
    return re.split(r"[/ (]", user_agent)[0][:40] or "another program"
