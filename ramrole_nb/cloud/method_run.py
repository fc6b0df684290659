"""How a way of getting the role's credential went: the requests it really made, and what it got, masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from ..errors import RamroleError
from ..models import StsCredentials
from ..redact import MASK, mask_key_id, redact
from ..render import html_card, html_table, text_card, text_table

__all__ = ["MaskedCredential", "MethodRequest", "MethodRun", "MethodRuns"]

_REQUEST_HEAD = ("request", "mode", "answer", "time")
_HEAD = ("method", "requests", "key", "valid until", "took")


@dataclass(frozen=True)
class MethodRequest:
    """One request.

    `target` as asked for; `mode` of a metadata request; `status` 0: no answer; `ms` its duration;
    `maker` whose program made it; `curl` the same for a shell on the instance (secrets are variables).
    """

    method: str
    target: str
    mode: str
    status: int
    ms: float
    maker: str = ""
    curl: str = ""

    @property
    def is_metadata(self) -> bool:
        """Whether the metadata service was asked (else another service)."""
        return self.target.startswith("/latest/")


@dataclass(frozen=True)
class MaskedCredential:
    """What may be shown of a temporary credential.

    `access_key_id` keeps its last four characters, so that two can be told
    apart; of secret and token nothing is left. Empty or None: the method does not tell.
    """

    access_key_id: str = ""
    expiration: datetime | None = None
    last_updated: datetime | None = None
    role_name: str = ""
    instance_id: str = ""
    mode: str = ""

    @classmethod
    def of(cls, credential: StsCredentials) -> MaskedCredential:
        """Return the masked view of a credential."""
        return cls(
            mask_key_id(credential.access_key_id),
            credential.expiration,
            credential.last_updated,
            credential.role_name,
            credential.instance_id,
            credential.mode,
        )

    def facts(self) -> list[tuple[str, str]]:
        """Return labelled facts for a card."""
        ends = f"{self.expiration:%Y-%m-%d %H:%M:%S} UTC" if self.expiration else "not told by this method"
        return [
            ("AccessKeyId", self.access_key_id or "not told by this method"),
            ("AccessKeySecret", MASK),
            ("SecurityToken", MASK),
            ("Expiration", ends),
            ("LastUpdated", f"{self.last_updated:%Y-%m-%d %H:%M:%S} UTC" if self.last_updated else ""),
        ]


@dataclass(frozen=True, repr=False)
class MethodRun:
    """One run of one method.

    `requests` are the ones seen, oldest first; `credential` is masked (None: there is none to show); `seconds` how
    long it took; `note` what else is to be said; `code` what does the same on the instance; `ran` False: it could not
    be run here; `error` why it failed (None: it did not); `identity` the ARN a service told, where one was asked.
    """

    method: str
    requests: tuple[MethodRequest, ...] = ()
    credential: MaskedCredential | None = None
    seconds: float = 0.0
    note: str = ""
    code: str = ""
    ran: bool = True
    error: RamroleError | None = None
    identity: str = ""

    @property
    def metadata_requests(self) -> int:
        """How many requests went to the metadata service."""
        return sum(request.is_metadata for request in self.requests)

    @property
    def outcome(self) -> str:
        """In words: `got a credential`, `failed` or `not run`."""
        if not self.ran:
            return "not run"
        return "failed" if self.error is not None else "got a credential"

    def facts(self) -> list[tuple[str, str]]:
        """Return labelled facts for a card."""
        facts = [("outcome", self.outcome), ("took", f"{self.seconds:.2f} s" if self.ran else "")]
        if self.credential is not None:
            facts += self.credential.facts()
        if self.identity:
            facts.append(("identity", self.identity))
        if self.error is not None:
            facts += [("what happened", redact(self.error.what)), *_redacted(self.error)]
        return [*facts, ("note", self.note)]

    def _rows(self) -> list[list[str]]:
        return [
            [f"{r.method} {r.target}", r.mode, str(r.status or "no answer"), f"{r.ms:.1f} ms"]
            for r in self.requests
        ]

    def row(self) -> list[str]:
        """Return its line in a table beside others."""
        held = self.credential
        ends = f"{held.expiration:%H:%M:%S} UTC" if held is not None and held.expiration else "not told"
        return [
            self.method,
            str(self.metadata_requests) if self.ran else "–",
            held.access_key_id or "not told" if held is not None else "–",
            ends if held is not None else "–",
            f"{self.seconds:.2f} s" if self.ran else "not run",
        ]

    @property
    def said(self) -> str:
        """What is to be said of it, in a sentence or two."""
        if self.error is None:
            return self.note
        next_step = f" Next step: {self.error.next_step}." if self.error.next_step else ""
        return redact(f"✕ {self.error.what}{next_step}")

    def __repr__(self) -> str:
        card = text_card(self.method, self.facts())
        rows = text_table(_REQUEST_HEAD, self._rows(), widest=76)
        code = "" if self.ran else self.code
        return "\n".join(part for part in (card, rows, code) if part)

    def html(self) -> str:
        """Return it as a card, with its requests below."""
        mark = "✕ Refused: " if self.error is not None else ""
        return html_card(mark + self.method, self.facts()) + self.details_html()

    def _repr_html_(self) -> str:
        return self.html()

    def details_html(self) -> str:
        """Return its requests as a table, and what does the same by hand, folded."""
        empty = "no request: what was held is used again" if self.ran and self.error is None else "none seen"
        html = html_table(_REQUEST_HEAD, self._rows(), title="The requests it made", empty=empty)
        by_hand = "\n".join(request.curl for request in self.requests if request.curl)
        return html + "".join(
            f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
            for title, text in (
                ("The same on the instance", self.code),
                ("Its requests, one by one, with curl", by_hand),
            )
            if text
        )


@dataclass(frozen=True, repr=False)
class MethodRuns:
    """Several methods side by side: a sequence of `MethodRun`."""

    runs: tuple[MethodRun, ...]
    note: str = ""
    opened: bool = False  # whether each one's details are shown without a click

    def __iter__(self) -> Iterator[MethodRun]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: int) -> MethodRun:
        return self.runs[index]

    def __repr__(self) -> str:
        said = "\n".join(f"{run.method}: {run.said}" for run in self.runs)
        parts = [text_table(_HEAD, [run.row() for run in self.runs]), said, self.note]
        return "\n\n".join([*(part for part in parts if part), *(repr(run) for run in self.runs)])

    def _repr_html_(self) -> str:
        return self.summary_html() + self.details_html()

    def details_html(self) -> str:
        """Return each run's card and requests, folded unless they are opened."""
        if self.opened:
            return "".join(run.html() for run in self.runs)
        return "".join(
            f"<details><summary>{escape(run.method)}: {escape(run.outcome)}{_count(run)}</summary>{run.html()}</details>"
            for run in self.runs
        )

    def summary_html(self) -> str:
        """Return the table alone."""
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        said = "".join(
            f"<li><strong>{escape(run.method)}</strong>: {escape(run.said)}</li>"
            for run in self.runs
            if run.said
        )
        return html_table(_HEAD, [run.row() for run in self.runs]) + f"<ul>{said}</ul>{note}"


def same_credential(runs: Sequence[MethodRun]) -> str:
    """Say in words whether the methods that tell a key got the same one."""
    keys = {run.credential.access_key_id for run in runs if run.credential and run.credential.access_key_id}
    if len(keys) == 1:
        return "All got the same credential: between two rotations, the metadata service gives everyone the same one."
    return "They got different credentials: the metadata service has rotated in between." if keys else ""


def _count(run: MethodRun) -> str:
    count = len(run.requests)
    return f", {count} request{'' if count == 1 else 's'} seen" if run.ran else ""


def _redacted(error: RamroleError) -> list[tuple[str, str]]:
    return [(label, redact(text)) for label, text in error.facts().items()]
