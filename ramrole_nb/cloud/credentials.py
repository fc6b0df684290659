"""An instance role's credential: one provider per instance and process, one refresh at a time, one consistent triple.

The official SDK's provider starts a thread per client and, while its metadata call hangs, one more per request; the
page's wrapper reads key, secret and token one by one, which mixes two credentials around a refresh. Here a snapshot is
one immutable object, a valid one never waits for its successor, and at most one thread is ever refreshing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ..errors import CredentialsExpired, InputError, RamroleError, nearest
from ..models import StsCredentials
from ..redact import mask_key_id, remember
from .metadata import HARDENED, MODES, MetadataClient

__all__ = ["InstanceCredentials", "StaticCredentials", "provider_for"]

# A new credential is served 30 minutes before the old one ends; shorter lifetimes keep the proportion.
# Source: https://github.com/AlibabaCloudDocs/ecs (instance metadata items)
_LATEST_REFRESH_SECONDS = 1_800.0
_MOST_PAUSE_SECONDS = 60.0
# How often a fetch is made again because the role changed during it.
_MOST_TRIES = 4


class _Triple:
    """A credential in the form the OpenAPI SDK's credentials interface and oss2's both read."""

    __slots__ = ("_credential", "_provider_name")

    def __init__(self, credential: StsCredentials | StaticCredentials, provider_name: str) -> None:
        self._credential = credential
        self._provider_name = provider_name

    def get_access_key_id(self) -> str:
        return self._credential.access_key_id

    def get_access_key_secret(self) -> str:
        return self._credential.access_key_secret

    def get_security_token(self) -> str | None:
        return self._credential.security_token or None

    def get_provider_name(self) -> str:
        return self._provider_name

    def __repr__(self) -> str:
        return repr(self._credential)


class StaticCredentials:
    """A lasting AccessKey as a provider. It prints masked."""

    def __init__(self, access_key_id: str, access_key_secret: str, security_token: str = "") -> None:
        self.access_key_id = access_key_id
        self.access_key_secret = access_key_secret
        self.security_token = security_token
        remember(access_key_secret, security_token)

    def __repr__(self) -> str:
        return f"StaticCredentials({mask_key_id(self.access_key_id)})"

    def get_credentials(self) -> _Triple:
        """Return the key."""
        return _Triple(self, "static_sts" if self.security_token else "static_ak")

    async def get_credentials_async(self) -> _Triple:
        """Return the key."""
        return self.get_credentials()

    def get_provider_name(self) -> str:
        """Return the name the SDKs send along."""
        return "static_sts" if self.security_token else "static_ak"


class InstanceCredentials:
    """The credential of one instance's role, kept fresh.

    `current()` returns one consistent snapshot. While the held credential is valid no call waits: when it is due, one
    background thread fetches its successor. Without a valid one, callers wait for one common fetch.
    """

    def __init__(self, fetch: Callable[[], StsCredentials] | None = None, *, label: str = "") -> None:
        self._fetch = fetch
        self.label = label
        # The held credential and the time.monotonic() at which it ends: one value, so that both are of one fetch.
        self._kept: tuple[StsCredentials, float] | None = None
        self._due = 0.0  # time.monotonic() from which the next refresh may start
        self._lock = threading.Lock()  # guards the fields
        self._flight = threading.Lock()  # held by whoever fetches
        self._generation = 0  # grows when the role changes, so that a fetch begun before is not kept
        self._landed = 0  # fetches finished, good or bad
        self._failure: RamroleError | None = None
        self._failures = 0
        self.refreshes = 0

    def __repr__(self) -> str:
        held = self.held
        return (
            f"InstanceCredentials({self.label!r}, {held!r})"
            if held
            else f"InstanceCredentials({self.label!r})"
        )

    def fetch_with(self, fetch: Callable[[], StsCredentials]) -> None:
        """Set how a credential is fetched; what is held stays."""
        self._fetch = fetch

    def current(self) -> StsCredentials:
        """Return a valid credential. Raises what fetching raises, or CredentialsExpired."""
        kept, now = self._kept, time.monotonic()
        if kept is not None and now < kept[1]:
            if now >= self._due:
                self._start_refresh()
            return kept[0]
        return self._wait_for_one()

    def refresh(self) -> StsCredentials:
        """Fetch now and return the result; several callers at once share one fetch. If it fails, the held one stays."""
        return self._wait_for_one(anew=True)

    def forget(self) -> None:
        """Drop the held credential: the instance's role has changed. Its token itself stays valid until it expires."""
        with self._lock:
            self._generation += 1
            self._kept = None
            self._due = 0.0

    @property
    def held(self) -> StsCredentials | None:
        """The snapshot held now, fresh or not; nothing is fetched."""
        kept = self._kept
        return kept[0] if kept is not None else None

    @property
    def last_error(self) -> RamroleError | None:
        """Why the last refresh failed (None: it did not)."""
        return self._failure

    def _start_refresh(self) -> None:
        if not self._flight.acquire(blocking=False):
            return  # one is under way
        try:
            threading.Thread(
                target=self._refresh_in_background, name=f"ramrole-refresh-{self.label}", daemon=True
            ).start()
        except BaseException:
            self._flight.release()
            raise

    def _refresh_in_background(self) -> None:
        try:
            if time.monotonic() >= self._due:
                self._fetch_once()
        finally:
            self._flight.release()

    def _wait_for_one(self, *, anew: bool = False) -> StsCredentials:
        seen = self._landed
        with self._flight:
            if (
                self._landed != seen
            ):  # another caller's fetch ended while this one waited: its result is shared
                if self._failure is not None:
                    raise self._failure.with_traceback(None)
                anew = False
            for _ in range(_MOST_TRIES):
                kept = self._kept
                if kept is not None and time.monotonic() < kept[1] and not anew:
                    return kept[0]
                generation, anew = self._generation, False
                self._fetch_once()
                if self._failure is not None:
                    raise self._failure.with_traceback(None)
                if (
                    generation == self._generation
                    and self._kept is not None
                    and time.monotonic() >= self._kept[1]
                ):
                    break
                # Otherwise it is good (the next round returns it), or the role changed meanwhile: fetch the new one's.
        raise CredentialsExpired(
            "The credential fetched had already expired.",
            reason="this machine's clock and the service's differ, or the role was taken away meanwhile",
            next_step="check the clock, then try again",
        )

    def _fetch_once(self) -> None:
        generation = self._generation
        failure: RamroleError | None = None
        fetched: StsCredentials | None = None
        try:
            fetched = self._fetch() if self._fetch else None
        except RamroleError as error:
            failure = error
        with self._lock:
            self._landed += 1
            self._failure = failure
            now = time.monotonic()
            if fetched is None:
                self._failures += 1
                self._due = now + min(_MOST_PAUSE_SECONDS, 0.5 * 2 ** min(self._failures, 10))
                return
            self._failures = 0
            self.refreshes += 1
            if generation != self._generation:
                return
            left = fetched.seconds_left(datetime.now(UTC))
            lifetime = left
            if fetched.last_updated is not None:
                lifetime = max(left, (fetched.expiration - fetched.last_updated).total_seconds())
            margin = min(_LATEST_REFRESH_SECONDS, lifetime / 12)
            same = self._kept is not None and self._kept[0].access_key_id == fetched.access_key_id
            ends = now + left
            self._kept = (fetched, ends)
            # Not rotated yet though it is due: look again soon, not at every call.
            pause = max(1.0, min(_MOST_PAUSE_SECONDS, left / 10)) if same else 0.0
            self._due = max(ends - margin, now + pause)

    # -- the SDKs' interfaces ----------------------------------------------------------------------------------

    def get_credentials(self) -> _Triple:
        """Return the current credential for an SDK: of the OpenAPI credentials interface and of oss2."""
        return _Triple(self.current(), "ecs_ram_role")

    async def get_credentials_async(self) -> _Triple:
        """Return the current credential for an SDK's asynchronous call."""
        return self.get_credentials()

    def get_provider_name(self) -> str:
        """Return the name the SDKs send along."""
        return "ecs_ram_role"


_providers: dict[tuple[str, str], InstanceCredentials] = {}
_providers_lock = threading.Lock()


def provider_for(
    make_client: Callable[[], MetadataClient], key: str, mode: str = HARDENED, *, label: str = ""
) -> InstanceCredentials:
    """Return this process's one provider of an instance (`key`) and mode; cells run again share it."""
    if mode not in MODES:
        raise InputError(
            f"There is no mode {mode!r}.{nearest(str(mode), MODES)}",
            next_step=f"the modes: {', '.join(MODES)}",
        )
    with _providers_lock:
        found = _providers.get((key, mode))
        if found is None:
            found = _providers[key, mode] = InstanceCredentials(label=label or key)
        # The newest session's client fetches, so that its wire shows it.
        found.fetch_with(lambda: make_client().credentials(mode=mode))
        return found


def forget_role_of(key: str) -> None:
    """Drop what the providers of an instance hold: its role has changed."""
    with _providers_lock:
        changed = [provider for (name, _), provider in _providers.items() if name == key]
    for provider in changed:
        provider.forget()


def forget_every_role() -> None:
    """Drop what every provider holds: the whole world has changed."""
    with _providers_lock:
        held = list(_providers.values())
    for provider in held:
        provider.forget()
