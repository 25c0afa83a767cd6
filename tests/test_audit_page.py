"""The audit's page, read as a browser would; and the pipeline that audits a dataset's captions."""

import importlib.util
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from stub import ColourEye, StubEncoder, paint_colours, write_lines
from typer.testing import CliRunner

from trsllava.audit.page import write_page
from trsllava.audit.suspicions import joined
from trsllava.cli.app import app
from trsllava.errors import UsageError
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> {{7*7}} & \x1b[31m \u202eend"
EVIL_ID = "<b>a&b</b>.png"
PIPELINE = Path(__file__).parents[1] / "pipelines" / "audit_captions.py"


class Page(HTMLParser):
    """What stands in a page: tags, their attributes, and the text inside some of them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.open = [], [], []
        self.said = {tag: [] for tag in ("h2", "dd", "dt", "td", "p", "li", "div")}
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        said = self.said.get(tag, [])
        said.append("")
        if tag not in ("img", "meta"):
            self.open.append((tag, said, len(said) - 1))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, said, at in self.open:
            said[at] += data

    @property
    def images(self):
        return [heading.split(" ", 1)[1].strip() for heading in self.said["h2"]]


@pytest.fixture
def view(tmp_path):
    store = create_store(tmp_path / "store")
    says = {"a.png": EVIL, EVIL_ID: "a field", "c.png": "a pier", "d.png": "a road"}
    lines = [json.dumps({"image": image, "caption": text}) for image, text in says.items()]
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines)])
    return store.view()


FOUND = [
    joined("c.png", {"picture": 0.9, "variants": 0.0}, ["its texts fit 60% of ..."]),
    joined("a.png", {"repeats": 0.5, "variants": 0.25}, [f"pictures share {EVIL}", "and more"]),
    joined(EVIL_ID, {"stock": 0.3}, ["so it is"]),
]


def test_the_page_shows_the_worst_first_with_pictures_reasons_parts_and_texts(tmp_path, view):
    paint_colours(tmp_path / "pictures", {"c.png": "red", EVIL_ID: "blue"})
    write_page(tmp_path / "p.html", FOUND, Pictures(view, (tmp_path / "pictures",)), hidden=7)
    page = Page(tmp_path / "p.html")
    assert page.images == ["c.png", "a.png", EVIL_ID]
    assert [heading.split()[0] for heading in page.said["h2"]] == ["0.90", "0.62", "0.30"]
    assert len(page.addresses) == page.tags.count("img") == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert "picture not at hand" in page.said["div"]
    assert "10 of 4 records look wrong; the worst 3 are shown" in page.said["p"][0]
    assert page.said["p"][1].startswith("The pictures of 1 of the 3 records shown")
    assert [text for text in page.said["td"] if text[0].isdigit()] == [
        "0.90",
        "0.50",
        "0.25",
        "0.30",
    ]
    assert "picture and the records around it" in page.said["td"]
    assert page.said["dd"][0] == "a pier"
    assert page.said["dt"] == ["variant 1"] * 3


def test_text_on_the_page_is_text_and_nothing_comes_from_outside(tmp_path, view):
    write_page(tmp_path / "p.html", FOUND, Pictures(view))
    page = Page(tmp_path / "p.html")
    shown = EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert page.said["dd"] == ["a pier", shown, "a field"]
    assert f"pictures share {shown}" in page.said["li"]
    assert not {"script", "link", "iframe", "b", "img"} & set(page.tags)
    assert page.addresses == []
    assert page.said["p"][1].startswith("The pictures of 3 of the 3 records shown are not at hand")
    body = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "http:" not in body
    assert "https:" not in body
    assert "49" not in page.said["dd"][1]
    write_page(tmp_path / "again.html", FOUND, Pictures(view))
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "p.html").read_bytes()


def test_a_page_of_nothing_says_so(tmp_path, view):
    write_page(tmp_path / "p.html", [], Pictures(view))
    page = Page(tmp_path / "p.html")
    assert page.images == []
    assert "Nothing looks wrong." in page.said["p"]


def test_the_command_writes_the_page_of_what_it_lists(tmp_path):
    store = create_store(tmp_path / "store")
    texts = ["the same long text of a harbour with nine white boats and a pier"] * 4
    lines = [json.dumps({"image": f"{n}.png", "caption": text}) for n, text in enumerate(texts)]
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines)])
    command = ["audit", "--store", str(store.root), "--html", str(tmp_path / "p.html")]
    done = CliRunner().invoke(app, [*command, "--json", "--top", "3"])
    assert done.exit_code == 0, done.output
    assert "page written to" in done.stderr
    page = Page(tmp_path / "p.html")
    assert page.images == [entry["image"] for entry in json.loads(done.stdout)]
    assert "4 of 4 records look wrong; the worst 3 are shown" in page.said["p"][0]
    CliRunner().invoke(app, command)
    assert len(Page(tmp_path / "p.html").images) == 4


# --- the pipeline


@pytest.fixture
def pipeline(monkeypatch):
    spec = importlib.util.spec_from_file_location("audit_captions", PIPELINE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    eye = ColourEye(StubEncoder())
    monkeypatch.setattr(module, "load_embedder", lambda: eye.encoder)
    monkeypatch.setattr(module, "load_eye", lambda: eye)
    return module


@pytest.fixture
def annotations(tmp_path):
    """Forty pictures; the fourth caption of one speaks of another colour, so do all of another."""
    colours = {f"{n:02}.png": ("red", "blue")[n % 2] for n in range(40)}
    paint_colours(tmp_path / "pictures", colours)
    images = []
    for image, colour in colours.items():
        other = "red" if colour == "blue" else "blue"
        said = [
            other if image == "07.png" or (image == "12.png" and n == 3) else colour
            for n in range(5)
        ]
        sentences = [{"raw": f"{4 * f'{name} '}field {image} {n}"} for n, name in enumerate(said)]
        images.append({"filename": image, "split": "train", "sentences": sentences})
    images.append({"filename": "bare.png", "split": "train", "sentences": [{"raw": " "}]})
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"images": images, "dataset": "x"}))
    return path


def test_captions_alone_tell_the_odd_one_and_pictures_tell_the_rest(
    tmp_path, pipeline, annotations
):
    alone = pipeline.audit(annotations, None, tmp_path / "out", 5)
    assert alone[0].image == "12.png"
    assert alone[0].reasons[0].startswith("variant 4 fits")
    assert {s.image: s.score for s in alone}.get("07.png", 0) < alone[0].score / 2
    seen = pipeline.audit(annotations, tmp_path / "pictures", tmp_path / "seen", 5)
    assert seen[0].image == "07.png"
    body = json.loads((tmp_path / "seen" / "suspects.json").read_text())
    assert [entry["image"] for entry in body] == [suspicion.image for suspicion in seen]
    assert Page(tmp_path / "seen" / "suspects.html").images[0] == "07.png"
    assert pipeline.audit(annotations, None, tmp_path / "out", 5) == alone  # once more
    annotations.write_text(annotations.read_text().replace("field 03.png", "pond 03.png", 1))
    with pytest.raises(UsageError, match="other captions"):
        pipeline.audit(annotations, None, tmp_path / "out", 5)
