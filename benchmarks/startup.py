"""How long `trsllava --help` takes, as a multiple of a bare Python."""

import sys

from common import in_turn, report, trsllava

ours, bare = in_turn(trsllava("--help"), [sys.executable, "-c", "pass"])
report(benchmark="startup", help_seconds=ours, bare_python_seconds=bare, ratio=ours / bare)
