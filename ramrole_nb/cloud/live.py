"""The credential of a live session: the SDK's default chain, or a profile of the Alibaba Cloud CLI. Used lazily."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import RamroleError
from ..redact import redact
from .sdk import load

__all__ = ["LiveCredentials"]


class LiveCredentials:
    """A provider that asks the SDK's own at the first call, and not before.

    Source: https://github.com/aliyun/credentials-python (order of the default chain)
    """

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._provider: Any = None
        self._lock = threading.Lock()
        self.provider_name = ""

    @property
    def label(self) -> str:
        """Where the credential comes from, for people."""
        if self._profile:
            return f"the CLI profile {self._profile!r}"
        return f"the default credential chain ({self.provider_name or 'not used yet'})"

    @property
    def is_default(self) -> bool:
        """Whether the SDK's default chain is asked, in which a lasting key comes before the instance's role."""
        return not self._profile

    def _chain(self) -> Any:
        with self._lock:
            if self._provider is None:
                if self._profile:
                    module = load("alibabacloud_credentials.provider.cli_profile")
                    self._provider = module.CLIProfileCredentialsProvider(profile_name=self._profile)
                else:
                    module = load("alibabacloud_credentials.provider.default")
                    self._provider = module.DefaultCredentialsProvider()
            return self._provider

    def get_credentials(self) -> Any:
        """Return the current credential. Raises RamroleError, with nothing secret in it, where there is none."""
        trouble = ""
        try:
            found = self._chain().get_credentials()
        except Exception as error:  # noqa: BLE001 - the chain raises many kinds, all meaning: no credential
            trouble = redact(error)
        else:
            self.provider_name = found.get_provider_name()
            return found
        raise RamroleError(
            f"No credential for the live account from {self.label}.",
            reason=trouble[:500],
            next_step="configure one (aliyun configure), or name a profile: rr.connect('live', profile='NAME')",
        )

    async def get_credentials_async(self) -> Any:
        """Return the current credential."""
        return self.get_credentials()

    def get_provider_name(self) -> str:
        """Return the name the SDKs send along."""
        return "default"
