"""Fixtures for the sandbox's own tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from ramrole_nb.sandbox import Sandbox
from tests.sandbox.drive import Drive

settings.register_profile("sandbox", deadline=None, database=None)
settings.load_profile("sandbox")


@pytest.fixture(scope="session")
def clients(sandbox: Sandbox) -> Drive:
    return Drive(sandbox)


@pytest.fixture
def drive(world: Sandbox, clients: Drive) -> Drive:
    """Clients of the sandbox, its world as at the start."""
    assert world is clients.sandbox
    return clients
