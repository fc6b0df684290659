"""Resource Access Management, API version 2015-05-01."""

from . import policies, roles, users

__all__ = ["policies", "roles", "users"]
