"""The sandbox's state: one SQLite file (WAL), object bodies as files beside it.

Everything acknowledged is committed first, so a `kill -9` loses nothing and leaves nothing half-written.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import StateError

__all__ = ["SCHEMA_VERSION", "Store"]

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE knobs (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE users (
    name TEXT PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, comments TEXT NOT NULL,
    created TEXT NOT NULL, position INTEGER NOT NULL);
CREATE TABLE groups (name TEXT PRIMARY KEY, comments TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE group_members (
    group_name TEXT NOT NULL, user_name TEXT NOT NULL, joined TEXT NOT NULL, PRIMARY KEY (group_name, user_name));
CREATE TABLE access_keys (
    access_key_id TEXT PRIMARY KEY, secret TEXT NOT NULL, user_name TEXT NOT NULL, status TEXT NOT NULL);

CREATE TABLE roles (
    name TEXT PRIMARY KEY, role_id TEXT NOT NULL UNIQUE, description TEXT NOT NULL, trust_policy TEXT NOT NULL,
    max_session_duration INTEGER NOT NULL, tags TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE policies (
    name TEXT PRIMARY KEY, description TEXT NOT NULL, default_version TEXT NOT NULL, next_version INTEGER NOT NULL,
    tags TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE policy_versions (
    policy_name TEXT NOT NULL, version_id TEXT NOT NULL, document TEXT NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (policy_name, version_id));
CREATE TABLE policy_attachments (
    entity_type TEXT NOT NULL, entity_name TEXT NOT NULL, policy_type TEXT NOT NULL, policy_name TEXT NOT NULL,
    attached TEXT NOT NULL, PRIMARY KEY (entity_type, entity_name, policy_type, policy_name));

CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY, region_id TEXT NOT NULL, position INTEGER NOT NULL, proxy_token TEXT NOT NULL,
    http_endpoint TEXT NOT NULL, http_tokens TEXT NOT NULL, hop_limit INTEGER NOT NULL, metadata_tags TEXT NOT NULL,
    facts TEXT NOT NULL);
CREATE TABLE instance_roles (
    instance_id TEXT PRIMARY KEY, role_name TEXT NOT NULL, session_policy TEXT NOT NULL, attached REAL NOT NULL,
    attachment_id TEXT NOT NULL);
CREATE TABLE instance_credentials (
    instance_id TEXT PRIMARY KEY, attachment_id TEXT NOT NULL, role_id TEXT NOT NULL, access_key_id TEXT NOT NULL,
    rotate_at REAL NOT NULL);
CREATE TABLE sts_sessions (
    access_key_id TEXT PRIMARY KEY, secret TEXT NOT NULL, token TEXT NOT NULL, role_id TEXT NOT NULL,
    role_name TEXT NOT NULL, session_name TEXT NOT NULL, session_policy TEXT NOT NULL, issued REAL NOT NULL,
    expires REAL NOT NULL);
CREATE INDEX sts_sessions_by_expiry ON sts_sessions (expires);
CREATE TABLE nonces (
    access_key_id TEXT NOT NULL, nonce TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (access_key_id, nonce))
    WITHOUT ROWID;
CREATE INDEX nonces_by_expiry ON nonces (expires);

CREATE TABLE buckets (
    name TEXT PRIMARY KEY, region_id TEXT NOT NULL, acl TEXT NOT NULL, storage_class TEXT NOT NULL,
    created TEXT NOT NULL);
CREATE TABLE objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL COLLATE BINARY, size INTEGER NOT NULL, etag TEXT NOT NULL,
    crc64 TEXT NOT NULL, sha256 TEXT NOT NULL, md5 TEXT NOT NULL, headers TEXT NOT NULL, modified REAL NOT NULL,
    object_type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
"""


class Store:
    """The open state of one sandbox.

    Used from one thread only (the server's event loop). Raises `StateError` where the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "state.db"
        self.bodies = folder / "objects"
        self.generation = 0  # grows with every change to who may do what; caches hang on it
        self._depth = 0
        _check_folder(folder, self.path)
        self.db = sqlite3.connect(self.path, isolation_level=None, cached_statements=512)
        try:
            self.db.row_factory = sqlite3.Row
            self.db.execute("PRAGMA journal_mode=WAL")
            # NORMAL survives a killed process, which is what is promised.
            self.db.execute("PRAGMA synchronous=NORMAL")
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not self.db.execute("SELECT 1 FROM sqlite_master").fetchone():
                with self.transaction():
                    for statement in _SCHEMA.split(";"):
                        if statement.strip():
                            self.db.execute(statement)
                    self.db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StateError(
                    f"The state in {folder} is of version {version}; this program writes version {SCHEMA_VERSION}.",
                    reason="it was written by another version of ramrole_nb",
                    next_step=f"start with a new one: --state OTHER_FOLDER, or remove {self.path}",
                )
            check = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise sqlite3.DatabaseError(check)
        except StateError:
            self.db.close()
            raise
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise StateError(
                f"The state file {self.path} cannot be read: {error}.",
                reason="it is damaged, or not a sandbox state",
                next_step=f"move it away, or start with another folder: --state OTHER_FOLDER ({self.path} is kept as it is)",
            ) from None
        self.bodies.mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        """Close the state file."""
        self.db.close()

    # -- statements ------------------------------------------------------------------------------------------

    def one(self, sql: str, *args: Any) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self.db.execute(sql, args).fetchone()
        return row

    def all(self, sql: str, *args: Any) -> list[sqlite3.Row]:
        """Return all rows."""
        return self.db.execute(sql, args).fetchall()

    def run(self, sql: str, *args: Any) -> int:
        """Run a statement; return how many rows it changed."""
        return self.db.execute(sql, args).rowcount

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen at once or not at all. May be nested."""
        if self._depth:
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        else:
            self.db.execute("COMMIT")
        finally:
            self._depth = 0

    def permissions_changed(self) -> None:
        """Tell caches that policies, roles or users changed."""
        self.generation += 1

    # -- small values ----------------------------------------------------------------------------------------

    def get_meta(self, key: str, default: str = "") -> str:
        """Return a value of the state itself (account, world, ...)."""
        row = self.one("SELECT value FROM meta WHERE key=?", key)
        return str(row["value"]) if row else default

    def set_meta(self, key: str, value: str) -> None:
        """Set a value of the state itself."""
        self.run(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value", key, value
        )

    @property
    def account_id(self) -> str:
        """The account that owns this world."""
        return self.get_meta("account_id")

    def empty_world(self) -> None:
        """Remove everything of the world (not the account's keys, the CA or the port)."""
        with self.transaction():
            for table in [
                "knobs",
                "users",
                "groups",
                "group_members",
                "access_keys",
                "roles",
                "policies",
                "policy_versions",
                "policy_attachments",
                "instances",
                "instance_roles",
                "instance_credentials",
                "sts_sessions",
                "nonces",
                "buckets",
                "objects",
            ]:
                self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
        self.permissions_changed()

    # -- bodies ----------------------------------------------------------------------------------------------

    def new_body(self) -> Path:
        """Return a fresh path for an object's body (its folder exists)."""
        name = secrets.token_hex(16)
        folder = self.bodies / name[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / name

    def body_path(self, name: str) -> Path:
        """Return the path of a stored body."""
        return self.bodies / name[:2] / name

    def drop_body(self, name: str) -> None:
        """Remove a body that no object names any more."""
        with contextlib.suppress(FileNotFoundError):
            self.body_path(name).unlink()

    def sweep(self) -> None:
        """Remove what an interrupted run left: bodies no object names, and what has long expired."""
        kept = {row["body"] for row in self.all("SELECT body FROM objects")}
        for path in self.bodies.glob("*/*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
        self.forget_expired()

    def forget_expired(self) -> None:
        """Drop nonces whose window is over, and sessions expired for a day (until then they say 'expired')."""
        now = time.time()
        self.run("DELETE FROM nonces WHERE expires < ?", now)
        self.run("DELETE FROM sts_sessions WHERE expires < ?", now - 86_400)


def _check_folder(folder: Path, database: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
        # Before SQLite opens it: its companions (-wal, -shm) take over the file's mode.
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        database.chmod(0o600)
    except OSError as error:
        raise StateError(
            f"The state folder {folder} cannot be used: {error.strerror or error}.",
            next_step="name a folder you may write to: --state FOLDER or RAMROLE_STATE=FOLDER",
        ) from None


def dumps(value: object) -> str:
    """Compact JSON, for columns."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
