"""The exception of this package."""


class EngineError(Exception):
    """The problem and how to fix it, in one line."""
