"""A worker in a process of its own, for tests that kill, stop and wake it.

``python jobs_worker.py STORE ARCHIVE SECONDS LOG [POISON]``: captions the archive, taking so long
for each picture, and appends each image that it is asked about to the log. At the image POISON
the process dies as a broken decoder makes it die.
"""

import os
import signal
import sys
import time
from pathlib import Path

from jobs_kit import Colours, caption


class Slow(Colours):
    def __init__(self, seconds, log, poison):
        super().__init__()
        self.seconds, self.log, self.poison = seconds, log, poison

    def caption(self, images):
        def noted():
            for prepared in images:
                with Path(self.log).open("a") as file:
                    file.write(f"{prepared.image}\n")
                if prepared.image == self.poison:
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(self.seconds)
                yield prepared

        return super().caption(noted())


if __name__ == "__main__":
    store, archive, seconds, log, *poison = sys.argv[1:]
    caption(Path(store), Path(archive), Slow(float(seconds), log, poison[0] if poison else None))
