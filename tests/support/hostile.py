"""The hostile environment that every test runs in.

A person's shell may hold a corporate proxy, real AccessKeys, a NO_PROXY that SDKs ignore, an odd time zone and an
ASCII locale. None of that may matter, so the tests run with all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["FAKE_KEY_ID", "FAKE_KEY_SECRET", "MARK", "PROXY_VARIABLES", "hostile_environment"]

# Set in a hostile environment, so that it is made once.
MARK = "RAMROLE_HOSTILE"

# Nobody may ever sign with these, and they may never appear in what a test leaves behind.
FAKE_KEY_ID = "LTAIFAKEEXAMPLEDONOTUSE0"
FAKE_KEY_SECRET = "fakeEXAMPLEsecretNobodyMaySign"

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

_FAKE = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": FAKE_KEY_ID,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": FAKE_KEY_SECRET,
    "ALIBABACLOUD_ACCESS_KEY_ID": FAKE_KEY_ID,
    "ALIBABACLOUD_ACCESS_KEY_SECRET": FAKE_KEY_SECRET,
    "ALICLOUD_ACCESS_KEY": FAKE_KEY_ID,
    "ALICLOUD_SECRET_KEY": FAKE_KEY_SECRET,
    "OSS_ACCESS_KEY_ID": FAKE_KEY_ID,
    "OSS_ACCESS_KEY_SECRET": FAKE_KEY_SECRET,
}

# What a test run may be told from outside; every other RAMROLE_ variable of the person's is dropped.
_KEPT = frozenset(
    {
        "RAMROLE_ARTEFACTS",
        "RAMROLE_SECRETS_FILE",
        "RAMROLE_REQUIRE_NETNS",
        "RAMROLE_REQUIRE_TOOLS",
        "RAMROLE_NETNS",
        "RAMROLE_FOREIGN",
        "RAMROLE_FUZZ_SECONDS",
        "RAMROLE_FUZZ_SEED",
        "RAMROLE_FORGE_COUNT",
        "RAMROLE_KILL_CLIENTS",
        "RAMROLE_KILL_SECONDS",
    }
)

# The person's own settings for the clouds and for Jupyter; without them, the defaults below HOME hold.
_DROPPED = ("ALIBABA_CLOUD_", "ALIBABACLOUD_", "ALICLOUD_", "OSS_", "RAMROLE_", "JUPYTER", "IPYTHON", "XDG_")


def hostile_environment(given: Mapping[str, str], *, home: Path, proxy: str) -> dict[str, str]:
    """Return `given` made hostile. `home` takes the place of the user's own; `proxy` must never be asked.

    `home` must exist; its sub-folders for XDG are made here.
    """
    env = {k: v for k, v in given.items() if k in _KEPT or not k.startswith(_DROPPED)}
    env |= _FAKE
    env |= dict.fromkeys(PROXY_VARIABLES, proxy)
    env |= {"NO_PROXY": "*", "no_proxy": "*"}
    env |= {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "C"}
    env["HOME"] = env["USERPROFILE"] = env["LOCALAPPDATA"] = str(home)
    for name, folder in {
        "XDG_CONFIG_HOME": ".config",
        "XDG_CACHE_HOME": ".cache",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_RUNTIME_DIR": ".run",
    }.items():
        path = home / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        env[name] = str(path)
    env[MARK] = "1"
    return env
