"""`transformers serve` for a tiny model: ``serve_tiny.py MODEL PORT SEEN``, in the model's parent.

The mean colour of every picture that the vision tower gets is written to SEEN, a line each. The
server ends with its standard input, so it cannot outlive a test that is killed.
"""

import os
import sys
import threading

from tiny_models import fitting_torchvision


def main(model, port, seen):
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    fitting_torchvision()
    import torch

    torch.set_num_threads(1)

    def look(module, args):
        if isinstance(module, torch.nn.Conv2d) and args[0].shape[1] == 3:
            mean = args[0].float().mean(dim=(0, 2, 3)) * 127.5 + 127.5
            with open(seen, "a", encoding="ascii") as file:
                print(*(round(value) for value in mean.tolist()), file=file)

    torch.nn.modules.module.register_module_forward_pre_hook(look)
    from transformers.cli.transformers import app

    app(["serve", model, "--host", "127.0.0.1", "--port", port, "--device", "cpu"])


def _end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
