"""Request files of the OpenAI Batch API: every picture once, in files that a service takes."""

import base64
import io
import json
import random

import pytest
from jobs_kit import Colours, balance, caption, colour_of, paint_archive
from PIL import Image

from trsllava.captioning import batch_files, load_captioner
from trsllava.captioning.batch_files import write_batch
from trsllava.captioning.captioner import Prepared
from trsllava.captioning.prompts import load_prompt
from trsllava.errors import InputError, UsageError
from trsllava.jobs.batch_export import export_batch
from trsllava.jobs.run import Limits
from trsllava.store.importing import import_files
from trsllava.store.store import open_store
from trsllava.testing.answers import answering
from trsllava.testing.captioners import describe
from trsllava.testing.server import StubServer


def picture(number, side=40):
    return Prepared(f"x/{number}.png", Image.new("RGB", (side, side), (number * 7 % 256, 90, 30)))


def write(path, pictures):
    return write_batch(path, pictures, model="vlm-1", prompt=load_prompt("rsrt"), max_tokens=2048)


def requests(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def shown(request):
    """The picture that a request shows."""
    uri = request["body"]["messages"][0]["content"][0]["image_url"]["url"]
    data = base64.b64decode(uri.partition(";base64,")[2], validate=True)
    return Image.open(io.BytesIO(data)).convert("RGB")


def colour(request):
    return shown(request).getpixel((20, 20))


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


def served(request, reason="stop", status=200):
    """What a service makes of a request: a record of the picture that it shows."""
    texts = [
        {"one_sentence": v.one_sentence, "feature": v.feature, "caption": v.caption}
        for v in describe(shown(request))
    ]
    message = {"role": "assistant", "content": json.dumps({"variants": texts})}
    choice = {"index": 0, "finish_reason": reason, "message": message}
    body = {"model": request["body"]["model"], "choices": [choice]}
    return {
        "id": "batch_req_1",
        "custom_id": request["custom_id"],
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def test_answers_come_home_to_the_pictures_that_they_are_about(tmp_path):
    archive = paint_archive(tmp_path / "in", 10)
    caption(tmp_path / "store", archive, Colours(), limits=Limits(images=0))
    store = open_store(tmp_path / "store")
    assert export_batch(store, None, tmp_path / "in.jsonl") == (10, [tmp_path / "in.jsonl"])
    asked = requests(tmp_path / "in.jsonl")
    assert sorted(request["custom_id"] for request in asked) == [f"{n:04d}.png" for n in range(10)]
    asked.sort(key=lambda request: request["custom_id"])
    lines = [served(request) for request in asked[:6]]
    lines += [lines[2], served(asked[6], status=500), served(asked[7], reason="length")]
    lines.append({**served(asked[8]), "custom_id": "unknown.png"})  # 8 and 9 never came back
    random.Random(4).shuffle(lines)
    (tmp_path / "out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = import_files(store, [tmp_path / "out.jsonl"])
    assert (result.added, result.quarantined, result.bad_lines) == (6, 2, 1)
    view = store.view()
    assert balance(view) == (10, 6, 2, 2)
    assert list(view.quarantined) == ["0006.png", "0007.png"]
    for record in view:
        with Image.open(archive / record.image) as picture:
            assert f" {colour_of(picture)} " in record.variants[0].one_sentence
    assert [record.image for record in view] == [f"{n:04d}.png" for n in range(6)]
    export_batch(store, None, tmp_path / "rest.jsonl")
    left = sorted(request["custom_id"] for request in requests(tmp_path / "rest.jsonl"))
    assert left == ["0008.png", "0009.png"]
