"""Every error of ramrole_nb, and what each one keeps.

RamroleError
├── InputError                bad input, refused before anything was changed (also a ValueError)
├── ChangeNotConfirmed        a live change that nobody confirmed; carries the plan
├── PreflightRefused          the caller lacks permissions for a call; nothing was changed
├── Cancelled                 the user cancelled; says what was already done
├── IntegrityError            a download whose length or CRC64 is wrong; the bad file is gone
├── SandboxError              the local cloud
│   ├── SandboxStartFailed
│   ├── SandboxNotRunning
│   └── StateError            the state folder: no rights, corrupt, of another version
├── MetadataError             the instance metadata service (IMDS)
│   ├── MetadataUnreachable   no answer: not on ECS, blocked, disabled
│   ├── NoRoleAttached
│   ├── WrongRoleName         another role is attached, and is named; or the attached one was deleted
│   ├── HardenedOnly          normal mode refused: HttpTokens=required
│   └── TokenRefused          the metadata token was not issued or not accepted
├── CredentialsExpired        no valid credential is left and a new one cannot be had
├── PartialFailure            a batch in which some items failed; carries each result
└── ServiceError              a service answered with an error
    ├── AccessDenied          no permission; keeps AccessDeniedDetail
    ├── NotFound
    ├── Conflict              it exists already, or is still in use
    ├── BadSignature          signature, key, token or clock
    ├── Throttled
    ├── InvalidRequest        any other 4xx
    └── ServerFault           5xx, or an answer that is not the service's

Each error says what happened (`str(error)`'s first line), why (`reason`) and the exact next step (`next_step`).
No message holds a secret: the texts of the services and SDKs pass through `ramrole_nb.redact`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "START_AGAIN",
    "AccessDenied",
    "BadSignature",
    "Cancelled",
    "ChangeNotConfirmed",
    "Conflict",
    "CredentialsExpired",
    "HardenedOnly",
    "InputError",
    "IntegrityError",
    "InvalidRequest",
    "MetadataError",
    "MetadataUnreachable",
    "NoRoleAttached",
    "NotFound",
    "PartialFailure",
    "PreflightRefused",
    "RamroleError",
    "SandboxError",
    "SandboxNotRunning",
    "SandboxStartFailed",
    "ServerFault",
    "ServiceError",
    "StateError",
    "Throttled",
    "TokenRefused",
    "WrongRoleName",
    "nearest",
]

# The next step wherever the sandbox has ended, by itself after two idle hours for one. Its world and port are kept.
START_AGAIN = "start it again: ramrole sandbox start, or run the cell with rr.connect() once more"


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the valid name nearest to `word`, or an empty string."""
    names = list(valid)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if not close:
        folded = {name.lower(): name for name in names}
        close = [folded[m] for m in difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.5)]
    return f" Did you mean {close[0]!r}?" if close else ""


class RamroleError(Exception):
    """Base of all errors here.

    Parameters: `what` one sentence on what happened; `reason` why, if known; `next_step` what to do now.
    """

    def __init__(self, what: str, *, reason: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason
        self.next_step = next_step

    def facts(self) -> dict[str, str]:
        """Return the labelled facts an error card shows, in order (empty values left out)."""
        rows = {"why": self.reason, "next step": self.next_step}
        return {label: text for label, text in rows.items() if text}

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"  {label}: {text}" for label, text in self.facts().items())])

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback: the error says where it comes from better than our frames do."""
        return [f"{type(self).__name__}: {self}"]


class InputError(RamroleError, ValueError):
    """The input is wrong; nothing was changed."""


class ChangeNotConfirmed(RamroleError):
    """A change to a live account was not confirmed. `plan` lists what would have been done, in order."""

    def __init__(self, what: str, *, plan: Sequence[str], reason: str = "", next_step: str = "") -> None:
        super().__init__(what, reason=reason, next_step=next_step)
        self.plan = tuple(plan)

    def facts(self) -> dict[str, str]:
        return {"plan": "; ".join(self.plan), **super().facts()}


class PreflightRefused(RamroleError):
    """The caller's own policies do not allow a call. `missing` holds (action, resource) pairs."""

    def __init__(
        self, what: str, *, missing: Sequence[tuple[str, str]], reason: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what, reason=reason, next_step=next_step)
        self.missing = tuple(missing)


class Cancelled(RamroleError):
    """The user cancelled."""


class IntegrityError(RamroleError):
    """A transfer arrived incomplete or altered."""


class SandboxError(RamroleError):
    """The local cloud could not do what was asked."""


class SandboxStartFailed(SandboxError):
    """The sandbox process did not start."""


class SandboxNotRunning(SandboxError):
    """No sandbox runs in this state folder."""


class StateError(SandboxError):
    """The state folder cannot be used."""


class MetadataError(RamroleError):
    """The metadata service refused or failed; `status` is its HTTP status (0: no answer)."""

    def __init__(self, what: str, *, status: int = 0, reason: str = "", next_step: str = "") -> None:
        super().__init__(what, reason=reason, next_step=next_step)
        self.status = status


class MetadataUnreachable(MetadataError):
    """Nothing answered at the metadata address."""


class NoRoleAttached(MetadataError):
    """The instance has no RAM role."""


class WrongRoleName(MetadataError):
    """The role asked for is not the one attached, or the one attached was deleted."""


class HardenedOnly(MetadataError):
    """The instance serves metadata in security hardening mode only, and the request carried no token."""


class TokenRefused(MetadataError):
    """The metadata service did not issue, or did not accept, a token."""


class CredentialsExpired(RamroleError):
    """There is no valid temporary credential."""


class PartialFailure(RamroleError):
    """Some items of a batch failed. `results` holds every item's result, failed or not."""

    def __init__(self, what: str, *, results: Sequence[Any], reason: str = "", next_step: str = "") -> None:
        super().__init__(what, reason=reason, next_step=next_step)
        self.results = tuple(results)


class ServiceError(RamroleError):
    """A service answered with an error; the service's own words are kept.

    `code`, `message`, `request_id` and `status` are the service's; `ec` is OSS's error number;
    `access_denied_detail` the service's AccessDeniedDetail; `service` and `action` name the call.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str = "",
        message: str = "",
        request_id: str = "",
        status: int = 0,
        ec: str = "",
        service: str = "",
        action: str = "",
        access_denied_detail: Mapping[str, Any] | None = None,
        reason: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(what, reason=reason, next_step=next_step)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.status = status
        self.ec = ec
        self.service = service
        self.action = action
        self.access_denied_detail = dict(access_denied_detail or {})

    def facts(self) -> dict[str, str]:
        http = f"HTTP {self.status}" if self.status else ""
        answer = f"{self.code} ({http})" if self.code and http else self.code or http
        if self.ec:
            answer += f", EC {self.ec}"
        rows = {"answer": answer, "message": self.message, **super().facts(), "request id": self.request_id}
        return {label: text for label, text in rows.items() if text}


class AccessDenied(ServiceError):
    """The caller may not do this."""


class NotFound(ServiceError):
    """The named thing does not exist."""


class Conflict(ServiceError):
    """It exists already, or something still uses it."""


class BadSignature(ServiceError):
    """The signature, the key, the security token or the clock was refused."""


class Throttled(ServiceError):
    """Too many requests."""


class InvalidRequest(ServiceError):
    """The service refused the request as sent."""


class ServerFault(ServiceError):
    """The service failed, or something that is not the service answered."""
