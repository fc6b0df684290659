"""Small pieces of the sentences that explain a decision."""

from __future__ import annotations


def listed(values: tuple[str, ...]) -> str:
    """Join the first three values and count the rest, so that a long list stays a sentence."""
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")
