"""The one exception that callers see."""


class EngineError(Exception):
    """What is wrong and what to do about it, in one line."""
