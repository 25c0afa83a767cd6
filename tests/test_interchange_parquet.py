"""Parquet of others, and parquet that is broken."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from trsllava.errors import InputError, UsageError
from trsllava.interchange import BadLine, Piece, read, write
from trsllava.records import Metadata, Record, Variant

pa = pytest.importorskip("pyarrow", reason="needs the extra parquet")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")


def store(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_text_columns_are_one_variant_a_row(tmp_path: Path) -> None:
    path = store(
        tmp_path / "r.parquet",
        {
            "image_path": pa.array(["a.jpg", "a.jpg"]).dictionary_encode(),
            "one_sentence": ["one", None],
            "caption": pa.array(["two", "three"], pa.large_string()),
            "taken": [1, 2],
        },
    )
    assert [line.content for line in read(path)] == [
        Piece("a.jpg", (Variant("one", "", "two"),), False, None, Metadata()),
        Piece("a.jpg", (Variant(caption="three"),), False, None, Metadata()),
    ]


def test_times_and_structs_become_what_json_would_say(tmp_path: Path) -> None:
    day = datetime.date(2024, 5, 1)
    at = datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC)
    path = store(
        tmp_path / "r.parquet",
        {
            "image": ["a.jpg"],
            "caption": ["x"],
            "datetime": [at],
            "properties": [{"day": day, "cloud": None}],
        },
    )
    (line,) = read(path)
    assert isinstance(line.content, Piece)
    assert line.content.metadata == Metadata(
        None, "2024-05-01T10:00:00+00:00", {"day": "2024-05-01"}
    )


def test_a_bad_row_is_named_by_its_number_and_reading_goes_on(tmp_path: Path) -> None:
    text = pa.array([b"good", b"\xff", b"", b"last"]).view(pa.binary()).cast(pa.binary())
    unsafe = pa.StringArray.from_buffers(4, text.buffers()[1], text.buffers()[2])
    path = store(tmp_path / "r.parquet", {"image": ["a", "b", "c", "d"], "caption": unsafe})
    lines = list(read(path))
    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert [isinstance(line.content, BadLine) for line in lines] == [False, True, True, False]
    third = lines[2].content
    assert isinstance(third, BadLine)
    assert (third.image, third.reason) == ("c", "caption is empty")


def test_reading_goes_on_after_any_row(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(2500)]
    path = store(tmp_path / "r.parquet", {"image": names, "caption": names}, row_group_size=700)
    lines = list(read(path))
    assert [line.number for line in lines] == list(range(1, 2501))
    for at in (1, 699, 700, 701, 1024, 1400, 2499, 2500):
        assert list(read(path, (at, lines[at - 1].end))) == lines[at:]


def test_columns_that_are_no_record_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has the columns id, label; expected: image"):
        list(read(store(tmp_path / "r.parquet", {"id": ["a"], "label": ["b"]})))
    pictures = [{"bytes": b"\xff\xd8", "path": "a.jpg"}]
    with pytest.raises(UsageError, match="must hold image ids, not struct"):
        list(read(store(tmp_path / "r.parquet", {"image": pictures, "caption": ["x"]})))


def test_damaged_parquet_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    write(path, [Record(f"{n}.jpg", (Variant(caption=f"text {n}"),)) for n in range(500)])
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], data[:4], b"PAR1" + b"\0" * 100 + b"PAR1"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"r\.parquet is not a sound parquet file"):
            list(read(path))
    path.write_bytes(b"\0" * 50)
    with pytest.raises(InputError, match=r"r\.parquet is damaged"):
        list(read(path))
    page = bytearray(data)
    page[200:1200] = b"\xff" * 1000
    path.write_bytes(page)
    with pytest.raises(InputError, match=r"r\.parquet is not a sound parquet file"):
        list(read(path))
