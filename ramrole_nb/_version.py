"""The version, in a module that costs nothing to import (`ramrole --version` and the build read it)."""

__version__ = "0.1.0"
