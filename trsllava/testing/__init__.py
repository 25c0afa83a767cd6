"""For the tests of captioner plug-ins, and for ours.

A plug-in's test is one line::

    def test_my_captioner_keeps_the_protocol():
        check_captioner(MyCaptioner())
"""

from trsllava.testing.captioners import StubCaptioner
from trsllava.testing.checks import BrokenCaptioner, check_captioner

__all__ = ["BrokenCaptioner", "StubCaptioner", "check_captioner"]
