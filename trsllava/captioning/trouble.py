"""What can go wrong with a request to a server."""

from trsllava.errors import TrsllavaError


class Trouble(TrsllavaError):
    """What went wrong with a request; ``kind`` says what can be done.

    ``absent`` no connection; ``broken`` it broke in the middle; ``silent`` nothing came in time;
    ``busy`` too many requests; ``unready`` loading, or no server behind the proxy; ``error`` an
    error inside the server; ``refused`` this request is no good; ``garbage`` no reply at all.
    ``wait`` is for how long the server wants to be left alone, ``sent`` when it was asked.
    """

    sent = 0.0

    def __init__(self, kind: str, detail: str, *, raw: str = "", wait: float = 0.0) -> None:
        super().__init__(detail)
        self.kind, self.raw, self.wait = kind, raw, wait
