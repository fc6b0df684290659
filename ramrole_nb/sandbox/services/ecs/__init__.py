"""Elastic Compute Service, API version 2014-05-26: instances and their RAM roles."""

from . import instances, metadata_options, ram_role

__all__ = ["instances", "metadata_options", "ram_role"]
