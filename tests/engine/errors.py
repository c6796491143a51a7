"""The exception of this package."""


class EngineError(Exception):
    """What is wrong and what to do about it, in one line."""
