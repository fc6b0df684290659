"""Elastic Compute Service, API version 2014-05-26: instances, their RAM roles, and commands on them."""

from . import assistant, commands, instances, invocations, metadata_options, ram_role, status

__all__ = ["assistant", "commands", "instances", "invocations", "metadata_options", "ram_role", "status"]
