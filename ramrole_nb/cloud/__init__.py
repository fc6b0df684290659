"""Typed calls over the official SDKs, one file a service; `session.Cloud` holds them together."""
