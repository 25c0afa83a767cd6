"""What is said once a job, however many images it concerns."""

import logging

_said: set[str] = set()


def say_once(log: logging.Logger, topic: str, message: str) -> None:
    """Log a warning unless one of the same topic was logged already."""
    if topic not in _said:
        _said.add(topic)
        log.warning(message)


def forget() -> None:
    """Begin a new job: everything may be said again."""
    _said.clear()


__all__ = ["forget", "say_once"]
