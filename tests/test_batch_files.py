"""Request files of the OpenAI Batch API: every picture once, in files that a service takes."""

import base64
import io
import json

import pytest
from PIL import Image

from trsllava.captioning import batch_files, load_captioner
from trsllava.captioning.batch_files import write_batch
from trsllava.captioning.captioner import Prepared
from trsllava.captioning.prompts import load_prompt
from trsllava.errors import InputError, UsageError
from trsllava.testing.answers import answering
from trsllava.testing.server import StubServer


def picture(number, side=40):
    return Prepared(f"x/{number}.png", Image.new("RGB", (side, side), (number * 7 % 256, 90, 30)))


def write(path, pictures):
    return write_batch(path, pictures, model="vlm-1", prompt=load_prompt("rsrt"), max_tokens=2048)


def requests(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def colour(request):
    """The colour of the picture that a request shows."""
    uri = request["body"]["messages"][0]["content"][0]["image_url"]["url"]
    data = base64.b64decode(uri.partition(";base64,")[2], validate=True)
    with Image.open(io.BytesIO(data)) as shown:
        return shown.convert("RGB").getpixel((20, 20))


def test_each_picture_is_asked_about_once_under_its_own_id(tmp_path):
    names = ["a b/ünï,'\".png", *(f"{number}.png" for number in range(6))]
    pictures = [Prepared(name, picture(at).pixels) for at, name in enumerate(names)]
    assert write(tmp_path / "in.jsonl", iter(pictures)) == [tmp_path / "in.jsonl"]
    found = requests(tmp_path / "in.jsonl")
    assert [request["custom_id"] for request in found] == names
    assert [colour(request) for request in found] == [(at * 7, 90, 30) for at in range(7)]
    assert {(request["method"], request["url"]) for request in found} == {
        ("POST", "/v1/chat/completions")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_request_is_what_a_live_server_is_asked(tmp_path):
    asked = []

    def listen(call):
        asked.append(call.body)
        return answering("ok")(call)

    with StubServer(mode=listen) as server:
        captioner = load_captioner("openai", base_url=server.address, model="vlm-1")
        assert len(list(captioner.caption([picture(3)]))) == 1
    write(tmp_path / "in.jsonl", [picture(3)])
    (request,) = requests(tmp_path / "in.jsonl")
    assert request["body"] == asked[0]
    assert request["body"]["response_format"]["type"] == "json_schema"
    assert request["body"]["max_tokens"] == 2048


@pytest.mark.parametrize(("limit", "value"), [("MOST_REQUESTS", 3), ("MOST_BYTES", 0)])
def test_files_are_cut_below_the_limits_numbered_and_lose_nothing(
    tmp_path, monkeypatch, limit, value
):
    write(tmp_path / "all.jsonl", map(picture, range(10)))
    whole = (tmp_path / "all.jsonl").read_bytes()
    longest = max(map(len, whole.splitlines(keepends=True)))
    monkeypatch.setattr(batch_files, limit, value or 3 * longest)
    files = write(tmp_path / "in.jsonl", map(picture, range(10)))
    assert [path.name for path in files] == [f"in-{n:05d}.jsonl" for n in range(1, len(files) + 1)]
    assert [len(requests(path)) for path in files] == [3, 3, 3, 1]
    assert all(path.stat().st_size <= 3 * longest for path in files)
    assert b"".join(path.read_bytes() for path in files) == whole
    assert {path.name for path in tmp_path.iterdir()} == {"all.jsonl", *(p.name for p in files)}


def test_a_file_that_is_exactly_full_is_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_files, "MOST_REQUESTS", 10)
    assert write(tmp_path / "in.jsonl", map(picture, range(10))) == [tmp_path / "in.jsonl"]
    monkeypatch.setattr(batch_files, "MOST_BYTES", (tmp_path / "in.jsonl").stat().st_size)
    assert write(tmp_path / "in.jsonl", map(picture, range(10))) == [tmp_path / "in.jsonl"]
    monkeypatch.setattr(batch_files, "MOST_BYTES", batch_files.MOST_BYTES - 1)
    assert len(write(tmp_path / "in.jsonl", map(picture, range(10)))) == 2


def test_the_limits_are_those_of_the_service():
    assert (batch_files.MOST_REQUESTS, batch_files.MOST_BYTES) == (50_000, 200_000_000)


def test_files_of_an_earlier_and_larger_export_are_named(tmp_path, monkeypatch, caplog):
    path = tmp_path / "in[1]*.jsonl"
    (tmp_path / "in1-00009.jsonl").touch()  # another series
    with monkeypatch.context() as patch:
        patch.setattr(batch_files, "MOST_REQUESTS", 2)
        write(path, map(picture, range(5)))
    assert caplog.text == ""
    assert write(path, map(picture, range(2))) == [path]
    (said,) = caplog.messages
    assert "in[1]*-00002.jsonl, " in said
    assert "in[1]*-00003.jsonl" in said
    assert "in1-00009" not in said
    assert "00001" not in said  # it took the plain name


def test_nothing_appears_when_a_picture_fails_in_the_middle_of_a_file(tmp_path):
    def pictures():
        yield picture(1)
        raise InputError("the archive is gone")

    with pytest.raises(InputError, match="the archive is gone"):
        write(tmp_path / "in.jsonl", pictures())
    assert list(tmp_path.iterdir()) == []


def test_without_a_picture_there_is_no_file(tmp_path):
    with pytest.raises(InputError, match="no picture"):
        write(tmp_path / "in.jsonl", [])
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path, [picture(1)])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"in\.jsonl cannot be written"):
        write(tmp_path / "file" / "in.jsonl", [picture(1)])


def test_a_prompt_that_asks_for_no_record_is_refused(tmp_path):
    with pytest.raises(UsageError, match="asks for a query"):
        write_batch(
            tmp_path / "in.jsonl",
            [picture(1)],
            model="m",
            prompt=load_prompt("query"),
            max_tokens=9,
        )


def test_pictures_are_taken_one_by_one(tmp_path):
    ahead = []

    def pictures():
        for number in range(20):
            written = sum(path.stat().st_size for path in tmp_path.iterdir())
            ahead.append((number, written))
            yield picture(number, side=300)

    write(tmp_path / "in.jsonl", pictures())
    assert ahead[-1][1] > 10 * 1000  # most was on disk before the last picture was taken
