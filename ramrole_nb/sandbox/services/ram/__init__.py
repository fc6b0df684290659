"""Resource Access Management, API version 2015-05-01."""

from . import diagnostics, policies, roles, users, versions

__all__ = ["diagnostics", "policies", "roles", "users", "versions"]
