"""The command line: parse, call the library, print.

Data goes to stdout, progress and logs to stderr. Exit codes: 0 all done, 1 error, 2 usage,
3 finished but some input is set aside, 130 interrupted.
"""

import io
import logging
import os
import signal
import sys
from types import FrameType

from trsllava.errors import TrsllavaError, UsageError


def main() -> None:
    """Run the command that the arguments name."""
    from trsllava.cli.app import app

    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("trsllava").setLevel(logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows fewer characters
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except TrsllavaError as error:
        _fail(error, 1)
    except BrokenPipeError:
        # The reader of our output has gone; python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error}; what was finished is kept: mend it and type the same command again", 1)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat the end of a time limit like Ctrl-C."""
    raise KeyboardInterrupt


def _fail(error: Exception | str, code: int) -> None:
    from trsllava.untrusted import printable

    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(code)
