"""Hypothesis for this folder: no deadline (machines stall), and nothing written beside the sources."""

from hypothesis import settings

settings.register_profile("policy", deadline=None, database=None)
settings.load_profile("policy")
