"""What is said once a job, however many images it concerns."""

import logging

_said: dict[str, str] = {}


def say_once(log: logging.Logger, topic: str, message: str) -> None:
    """Log a warning unless one of the same topic was logged already."""
    if topic not in _said:
        _said[topic] = message
        log.warning(message)


def forget() -> None:
    """Begin a new job: everything may be said again."""
    _said.clear()


def said() -> tuple[str, ...]:
    """Return what was said since the job began."""
    return tuple(_said.values())


__all__ = ["forget", "said", "say_once"]
