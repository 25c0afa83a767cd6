"""Files that are broken, hostile or not records at all."""

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from trsllava.errors import InputError, UsageError
from trsllava.interchange import BadLine, Line, Piece, read
from trsllava.interchange.lines import LINE_LIMIT

GOOD = b'{"image": "good.jpg", "caption": "a dock"}'


def read_bytes(tmp_path: Path, data: bytes, name: str = "r.jsonl") -> list[Line]:
    (tmp_path / name).write_bytes(data)
    return list(read(tmp_path / name))


def outcome(lines: list[Line]) -> list[tuple[int, str]]:
    """Return each line's number with its image, or the reason it is bad."""
    return [
        (
            line.number,
            line.content.image if isinstance(line.content, Piece) else line.content.reason,
        )
        for line in lines
    ]


def the_bad_one(tmp_path: Path, raw: bytes) -> BadLine:
    """Read a bad line between two good ones, which must not suffer."""
    lines = read_bytes(tmp_path, b"\n".join([GOOD, raw, GOOD, b""]))
    assert [line.number for line in lines] == [1, 2, 3]
    first, bad, last = (line.content for line in lines)
    assert isinstance(first, Piece)
    assert isinstance(last, Piece)
    assert isinstance(bad, BadLine)
    assert bad.raw == raw[:4096] or bad.raw == (raw + b"\n")[:4096]
    return bad


@pytest.mark.parametrize(
    ("raw", "cause", "image"),
    [
        (b'{"image": "a.jpg", "caption": "\xff"}', "not UTF-8: byte 32", "a.jpg"),
        (b'{"image": "\xff.jpg", "caption": "x"}', "not UTF-8", None),
        (b'{"image": "a.jpg", "caption": "x\0"}', "NUL bytes", "a.jpg"),
        (b"\0\0\0\0", "NUL bytes", None),
        (rb'{"image": "a.jpg", "caption": "x\u0000"}', "NUL character", "a.jpg"),
        (rb'{"image": "a.jpg", "caption": "\uDfff"}', "lone surrogate", "a.jpg"),
        (b'{"image": "a.jpg", "caption": "x", "properties": {"n": NaN}}', "NaN", "a.jpg"),
        (b'{"image": "a.jpg", "caption": "x", "bbox": [-Infinity,1,2,3]}', "-Infinity", "a.jpg"),
        (b'{"image": "a.jpg", "caption": "x", "properties": {"n": 1e999}}', "inf", "a.jpg"),
        (b'{"image": "a.jpg", "caption": "x", "n": ' + b"9" * 9999 + b"}", "digits", "a.jpg"),
        (b'{"image": "a.jpg", "caption": "x", "caption": "y"}', "'caption' stands twice", "a.jpg"),
        (b'{"image": "a.jpg", "p": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep", "a.jpg"),
        (b"[" * 100_000, "deep", None),
        (b'{"a":' * 100_000, "deep", None),
        (b'["a.jpg", "x"]', "a JSON object expected, not a list of 2", None),
        (b'"a.jpg"', "a JSON object expected, not a string", None),
        (b"null", "a JSON object expected, not null", None),
        (b"[", "not indented JSON", None),
        (b"a.jpg a dock", "not JSON", None),
        (GOOD + GOOD, "not JSON: Extra data", "good.jpg"),
        (b"{}", "no image id", None),
    ],
)
def test_a_hostile_line_is_bad_alone(
    tmp_path: Path, raw: bytes, cause: str, image: str | None
) -> None:
    bad = the_bad_one(tmp_path, raw)
    assert cause in bad.reason
    assert len(bad.reason) < 300
    assert bad.image == image


def test_a_byte_order_mark_is_skipped_also_between_joined_files(tmp_path: Path) -> None:
    bom = b"\xef\xbb\xbf"
    data = bom + GOOD + b"\n" + bom + GOOD + b"\n" + bom + b"\n"
    assert outcome(read_bytes(tmp_path, data)) == [(1, "good.jpg"), (2, "good.jpg")]


def test_windows_line_ends_and_blank_lines_are_read(tmp_path: Path) -> None:
    data = b"\r\n" + GOOD + b"\r\n\r\n  \t\r\n" + GOOD + b"\r\n\r\n"
    assert outcome(read_bytes(tmp_path, data)) == [(2, "good.jpg"), (5, "good.jpg")]


def test_a_last_line_without_its_end_is_read(tmp_path: Path) -> None:
    assert outcome(read_bytes(tmp_path, GOOD + b"\n" + GOOD))[-1] == (2, "good.jpg")


@pytest.mark.parametrize("kept", [25, 36, len(GOOD) - 1])
def test_a_file_cut_inside_its_last_line_says_so_and_keeps_the_id(
    tmp_path: Path, kept: int
) -> None:
    bad = read_bytes(tmp_path, GOOD + b"\n" + GOOD[:kept])[-1].content
    assert isinstance(bad, BadLine)
    assert "may be cut" in bad.reason
    assert bad.image == "good.jpg"


def test_a_gigantic_line_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b'\n{"image": "big.jpg", "caption": "')
        for _ in range(5 * LINE_LIMIT >> 20):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + GOOD + b"\n")
    tracemalloc.start()
    lines = list(read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * LINE_LIMIT
    assert outcome(lines) == [
        (1, "good.jpg"),
        (2, "the line is longer than 16 MiB"),
        (3, "good.jpg"),
    ]
    assert isinstance(lines[1].content, BadLine)
    assert lines[1].content.image == "big.jpg"
    assert len(lines[1].content.raw) == 4096
    assert list(read(path, (2, lines[1].end))) == lines[2:]


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.txt"])
@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_a_file_without_lines_yields_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    assert read_bytes(tmp_path, data, name) == []


def test_reading_goes_on_after_any_line(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n{\n" + GOOD + b"\n\n" + GOOD
    lines = read_bytes(tmp_path, data)
    assert [line.number for line in lines] == [1, 3, 4, 6]
    for at, line in enumerate(lines, start=1):
        assert list(read(tmp_path / "r.jsonl", (line.number, line.end))) == lines[at:]


def test_a_file_packed_by_gzip_is_read_and_gone_on_with(tmp_path: Path) -> None:
    lines = read_bytes(tmp_path, gzip.compress((GOOD + b"\n") * 3), "r.jsonl.gz")
    assert outcome(lines) == [(1, "good.jpg"), (2, "good.jpg"), (3, "good.jpg")]
    assert list(read(tmp_path / "r.jsonl.gz", (1, lines[0].end))) == lines[1:]


def test_a_cut_gzip_file_is_damaged(tmp_path: Path) -> None:
    packed = gzip.compress((GOOD + b"\n") * 3)
    with pytest.raises(InputError, match="damaged"):
        read_bytes(tmp_path, packed[:-9], "r.jsonl.gz")


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"\xff\xd8\xff\xe0"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8\xff\xe0\0\x10JFIF\0" * 20, tar(), b"\x89PNG\r\n\x1a\n\0\0", gzip.compress(tar())],
)
@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.bin"])
def test_a_file_of_another_kind_is_named_with_what_was_expected(
    tmp_path: Path, data: bytes, name: str
) -> None:
    with pytest.raises(UsageError, match=r"not a file of records; expected JSON Lines"):
        read_bytes(tmp_path, data, name)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, coding: str) -> None:
    with pytest.raises(UsageError, match="UTF-16"):
        read_bytes(tmp_path, ("\ufeff" + GOOD.decode()).encode(coding))


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        list(read(tmp_path))
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read: No such file"):
        list(read(tmp_path / "none.jsonl"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = json.dumps({"image": "a.jpg", "caption": "x" * 1000}).encode() + b"\n"
    path.write_bytes(line * 20_000)
    tracemalloc.start()
    assert sum(1 for _ in read(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
