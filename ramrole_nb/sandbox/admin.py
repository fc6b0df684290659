"""The admin interface, `/_sandbox/…`: status, journal, knobs, faults, expire, reset, stop. Needs the run's token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from ..errors import RamroleError
from .answers import Answer
from .errors import FrontError
from .exchange import Exchange, parse_query
from .journal import Journal
from .knobs import Knobs
from .store import Store
from .worlds import check_world, populate

__all__ = ["ADMIN_HEADER", "Admin"]

ADMIN_HEADER = "x-sandbox-token"


class Admin:
    """Handles admin requests; `describe` gives the start line, `stop` ends the server."""

    def __init__(
        self,
        store: Store,
        knobs: Knobs,
        journal: Journal,
        token: str,
        describe: Callable[[], dict[str, Any]],
        stop: Callable[[], None],
        world_changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._knobs = knobs
        self._journal = journal
        self._token = token
        self._describe = describe
        self._stop = stop
        self._world_changed = world_changed
        self._grew = asyncio.Event()

    def journal_grew(self) -> None:
        """Wake whoever waits for new entries."""
        self._grew.set()

    async def answer(self, ex: Exchange) -> Answer:
        """Answer one admin request."""
        if not hmac.compare_digest(ex.headers.get(ADMIN_HEADER, "").encode(), self._token.encode()):
            raise FrontError(403, "AdminTokenRefused", "The admin interface needs this run's token.")
        what = ex.path.removeprefix("/_sandbox/")
        params = dict(parse_query(ex.query))
        try:
            if ex.method == "GET" and what == "status":
                return _json(
                    {
                        "ok": True,
                        **self._describe(),
                        "knobs": self._knobs.all(),
                        "faults": self._knobs.faults.names(),
                    }
                )
            if ex.method == "GET" and what == "journal":
                return await self._read_journal(params)
            if ex.method == "GET" and what == "knobs":
                return _json(self._knobs.all())
            if ex.method == "GET" and what == "faults":
                return _json({"faults": self._knobs.faults.all()})
            if ex.method == "POST":
                sent = json.loads(await ex.read_body() or b"{}")
                if not isinstance(sent, dict):
                    raise FrontError(400, "BadJson", "The body must be a JSON object.")
                return self._change(what, sent)
        except RamroleError as error:
            return _json({"error": error.what, "next_step": error.next_step}, 400)
        except ValueError:
            raise FrontError(400, "BadJson", "The body is not JSON.") from None
        raise FrontError(404, "NoSuchAdminCall", f"There is no admin call {ex.method} {what!r}.")

    def _change(self, what: str, sent: dict[str, Any]) -> Answer:
        if what == "reset":
            world = check_world(str(sent.get("world") or self._store.get_meta("world")))
            populate(self._store, world)
            self._knobs.forget()
            self._journal.clear()
            self._world_changed()
            return _json(self._describe())
        if what == "knobs":
            self._knobs.set(**sent)
            return _json(self._knobs.all())
        if what == "fault":
            self._switch(sent)
            return _json({"faults": self._knobs.faults.all()})
        if what == "expire":
            return _json({"expired": self._expire()})
        if what == "stop":
            self._stop()
            return _json({"stopping": True})
        raise FrontError(404, "NoSuchAdminCall", f"There is no admin call POST {what!r}.")

    def _switch(self, sent: dict[str, Any]) -> None:
        name, on, instances = sent.get("name"), sent.get("on", True), sent.get("instances", [])
        if not isinstance(name, str) or not isinstance(on, bool) or not isinstance(instances, list):
            raise FrontError(400, "BadFault", 'Send {"name": text, "on": true or false, "instances": [...]}.')
        self._knobs.faults.set(name, on, [str(i) for i in instances])
        self._world_changed()

    def _expire(self) -> int:
        """End every session at once; the metadata service hands out new ones. Returns how many were valid."""
        now = time.time()
        with self._store.transaction():
            count = self._store.run("UPDATE sts_sessions SET expires=? WHERE expires > ?", now, now)
            self._store.run("DELETE FROM instance_credentials")
        return count

    async def _read_journal(self, params: dict[str, str]) -> Answer:
        """Return entries after `since`, or one by `request_id`; `wait` seconds (at most 30) for the first new one."""
        if "request_id" in params:
            entry = self._journal.find(params["request_id"])
            return self._entries([entry] if entry else [])
        since, wait = int(params.get("since", "0")), min(30.0, float(params.get("wait", "0")))
        entries = self._journal.since(since)
        if not entries and wait > 0:
            self._grew.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._grew.wait(), wait)
            entries = self._journal.since(since)
        return self._entries(entries)

    def _entries(self, entries: list[dict[str, Any]]) -> Answer:
        documents = self._journal.documents(entries)
        return _json({"entries": entries, "last": self._journal.last_seq(), "documents": documents})


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json")
