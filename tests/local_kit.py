"""What the tests of the captioner on this machine share: tiny models, pictures, short texts."""

import pytest
from PIL import Image
from tiny_models import FAMILIES, NEEDS_TORCHVISION, fitting_torchvision, make_tiny_model

from trsllava.captioning import Prepared, schema

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("llguidance", reason="needs the extra vlm")
# At the time tests are collected, before anything else imports transformers.
TORCHVISION = fitting_torchvision()

COLOURS = [(230, 20, 20), (20, 200, 40), (20, 40, 220), (240, 240, 240), (20, 20, 20)]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Return a function that makes the model of a family once and returns its folder."""
    made = {}

    def folder(family):
        if family in NEEDS_TORCHVISION and not TORCHVISION:
            pytest.skip("its processor needs a torchvision that fits PyTorch")
        if family not in made:
            made[family] = make_tiny_model(tmp_path_factory.mktemp("models") / family, family)
        return made[family]

    return folder


@pytest.fixture
def short_texts(monkeypatch):
    """Let the schema allow short texts only, for speed."""
    for name in schema.LONGEST:
        monkeypatch.setitem(schema.LONGEST, name, 8)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep PyTorch from splitting tiny sums between busy cores, ten times slower than one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count=None):
    """Return square pictures, each of one colour and with it as its name."""
    return [
        Prepared("-".join(map(str, colour)), Image.new("RGB", (56, 56), colour))
        for colour in COLOURS[:count]
    ]


__all__ = ["COLOURS", "FAMILIES", "one_thread", "pictures", "short_texts", "tiny_model"]
