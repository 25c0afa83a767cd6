"""Exports: what each format holds, and that reading them gives the records again."""

import csv
import json
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

from trsllava.errors import InputError, MissingExtra, UsageError
from trsllava.interchange import FORMATS, BadLine, Piece, assemble, read, write
from trsllava.interchange.geojson import geometry
from trsllava.records import BBox, Metadata, Record, Variant

FULL = tuple(
    Variant(f"a pier {n}", f"pier, {n} ships, 機場", f'A "pier" with {n},\nseen.')
    for n in range(1, 6)
)
RECORDS = [
    Record("a.jpg", FULL),
    Record(
        "x/b, c.jpg",
        FULL,
        "vlm-1",
        Metadata(
            BBox(-122.5, 37.0, -121.25, 38.0),
            "2024-05-01T10:00:00Z",
            {"sensor": "S2", "cloud": 0.5, "tags": ["a", None]},
        ),
    ),
    Record("thin.jpg", (Variant(caption="a dock"),), "blip", Metadata(datetime="2024-05-01")),
    Record("thinner.jpg", (Variant(caption="one"), Variant(one_sentence="two", feature="x"))),
]


def read_back(path: Path) -> list[Record]:
    pieces = []
    for line in read(path):
        assert isinstance(line.content, Piece), line
        pieces.append(line.content)
    return [assemble(list(group))[0] for _, group in groupby(pieces, key=lambda p: p.image)]


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.parquet"])
def test_reading_an_export_gives_the_records_again(tmp_path: Path, name: str) -> None:
    if name == "r.parquet":
        pytest.importorskip("pyarrow", reason="needs the extra parquet")
    assert write(tmp_path / name, iter(RECORDS)) == len(RECORDS)
    assert read_back(tmp_path / name) == RECORDS
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_export_is_a_sound_file(tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra parquet")
    path = tmp_path / "out"
    assert write(path, [], format) == 0
    if format == "geojson":
        assert json.loads(path.read_text()) == {"type": "FeatureCollection", "features": []}
    else:
        assert list(read(path)) == []


def test_rsrt_is_the_official_form_and_thin_records_are_caption_lines(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", [RECORDS[0], RECORDS[2]])
    full, thin = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    assert list(full) == ["image", "variants"]
    assert [list(v) for v in full["variants"]] == [["one_sentence", "feature", "caption"]] * 5
    assert thin == {
        "image": "thin.jpg",
        "caption": "a dock",
        "datetime": "2024-05-01",
        "model": "blip",
    }


def test_captions_are_one_line_per_variant(tmp_path: Path) -> None:
    write(tmp_path / "c.jsonl", [RECORDS[0], RECORDS[3]], "captions")
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert lines == [
        *({"image": "a.jpg", "caption": v.caption} for v in FULL),
        {"image": "thinner.jpg", "caption": "one"},
        {"image": "thinner.jpg", "caption": "two"},
    ]


FORMULAS = ["=1+1", "+1", "-1+cmd|x", "@SUM(A1)", "\t=1", "'=1", "''@x", "＝1", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_export_is_a_formula(tmp_path: Path, text: str) -> None:
    record = Record(f"{text.strip()}.jpg", (Variant(text, text, text),) * 5, text, Metadata())
    write(tmp_path / "r.csv", [record])
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert not any(re.match("[=+\\-@\t\r\n＝＋－＠]", cell) for row in rows for cell in row)
    (back,) = read_back(tmp_path / "r.csv")
    assert (back.image, back.model, back.variants) == (record.image, text, record.variants[:1])


def test_a_quote_that_guards_no_formula_stays(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("image,caption\na.jpg,'t is a dock\n")
    assert read_back(tmp_path / "r.csv")[0].variants == (Variant(caption="'t is a dock"),)


def test_control_characters_and_direction_marks_are_spelled_out_in_csv(tmp_path: Path) -> None:
    write(tmp_path / "r.csv", [Record("a.jpg", (Variant(caption="a\x1b[31m\u202e\rb"),))])
    assert "a\\x1b[31m\\u202e\\rb" in (tmp_path / "r.csv").read_bytes().decode()


def test_geojson_is_a_map_of_the_records(tmp_path: Path) -> None:
    assert write(tmp_path / "r.geojson", RECORDS) == len(RECORDS)
    collection = json.loads((tmp_path / "r.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    first, second, *_ = collection["features"]
    assert first["geometry"] is None
    assert second["id"] == "x/b, c.jpg"
    assert second["bbox"] == [-122.5, 37.0, -121.25, 38.0]
    properties = second["properties"]
    assert properties["sensor"] == "S2"
    assert properties["datetime"] == "2024-05-01T10:00:00Z"
    assert properties["variants"][4]["one_sentence"] == "a pier 5"


def test_a_property_does_not_take_the_place_of_the_image(tmp_path: Path) -> None:
    record = Record("a.jpg", FULL, metadata=Metadata(properties={"image": "x", "variants": 3}))
    write(tmp_path / "r.geojson", [record])
    (feature,) = json.loads((tmp_path / "r.geojson").read_text())["features"]
    properties = feature["properties"]
    assert (properties["image"], properties["properties.image"]) == ("a.jpg", "x")
    assert properties["properties.variants"] == 3


def test_a_ring_is_closed_and_counter_clockwise() -> None:
    (ring,) = geometry(BBox(1, 2, 3, 5))["coordinates"]
    area = sum(x * v - u * y for (x, y), (u, v) in pairwise(ring)) / 2
    assert ring[0] == ring[-1]
    assert area == 6


@pytest.mark.parametrize(
    ("box", "kind", "spans"),
    [
        (BBox(170, -20, -175, -10), "MultiPolygon", [(170, 180), (-180, -175)]),
        (BBox(170, -20, -180, -10), "Polygon", [(170, 180)]),
        (BBox(180, -20, -175, -10), "Polygon", [(-180, -175)]),
        (BBox(-180, -90, 180, 90), "Polygon", [(-180, 180)]),
    ],
)
def test_a_box_across_the_antimeridian_is_cut_there(
    box: BBox, kind: str, spans: list[tuple[float, float]]
) -> None:
    shape = geometry(box)
    assert shape["type"] == kind
    polygons = shape["coordinates"] if kind == "MultiPolygon" else [shape["coordinates"]]
    assert [(min(p[0])[0], max(p[0])[0]) for p in polygons] == spans


def feature_of(box: BBox | None, footprint: object, tmp_path: Path) -> dict[str, Any]:
    record = Record("a.jpg", FULL, metadata=Metadata(box, properties={"footprint": footprint}))
    write(tmp_path / "r.geojson", [record])
    (feature,) = json.loads((tmp_path / "r.geojson").read_text())["features"]
    assert isinstance(feature, dict)
    return feature


def area(ring: list[list[float]]) -> float:
    assert ring[0] == ring[-1]
    return sum(x * v - u * y for (x, y), (u, v) in pairwise(ring)) / 2


DIAMOND = [[10, 50], [11, 51], [12, 50], [11, 49]]
AROUND_IT = BBox(10, 49, 12, 51)


@pytest.mark.parametrize("corners", [DIAMOND, DIAMOND[::-1], DIAMOND[2:] + DIAMOND[:2]])
def test_a_rotated_raster_is_drawn_by_its_corners_and_keeps_its_box(
    tmp_path: Path, corners: list[list[float]]
) -> None:
    feature = feature_of(AROUND_IT, corners, tmp_path)
    assert feature["bbox"] == [10, 49, 12, 51]
    assert feature["geometry"]["type"] == "Polygon"
    (ring,) = feature["geometry"]["coordinates"]
    assert sorted(ring[1:]) == sorted(DIAMOND)
    assert area(ring) == 2  # counter-clockwise
    assert feature_of(None, corners, tmp_path)["geometry"] == feature["geometry"]


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("step", [1, -1])
def test_corners_across_the_antimeridian_are_cut_there(
    tmp_path: Path, start: int, step: int
) -> None:
    corners = [[178, 0], [-179, 2], [-178, 0], [-179, -2]]
    corners = (corners[start:] + corners[:start])[::step]
    feature = feature_of(BBox(178, -2, -178, 2), corners, tmp_path)
    assert feature["geometry"]["type"] == "MultiPolygon"
    (west,), (east,) = feature["geometry"]["coordinates"]
    assert (min(west)[0], max(west)[0], min(east)[0], max(east)[0]) == (178, 180, -180, -178)
    assert area(west) == pytest.approx(8 / 3)
    assert area(west) + area(east) == pytest.approx(8)


def test_corners_that_end_at_the_antimeridian_are_not_cut(tmp_path: Path) -> None:
    for corners, span in (
        ([[178, 0], [179, 2], [-180, 0], [179, -2]], (178, 180)),
        ([[180, 0], [-179, 2], [-178, 0], [-179, -2]], (-180, -178)),
    ):
        shape = feature_of(None, corners, tmp_path)["geometry"]
        assert shape["type"] == "Polygon"
        (ring,) = shape["coordinates"]
        assert (min(ring)[0], max(ring)[0]) == span
        assert area(ring) == 4


@pytest.mark.parametrize(
    "footprint",
    [
        None,
        "POLYGON ((10 50, 11 51))",
        {"type": "Polygon", "coordinates": [DIAMOND]},
        DIAMOND[:3],
        [*DIAMOND, DIAMOND[0]],
        [[10, 50], [11, 51], [12, "50"], [11, 49]],
        [[10, 50], [11, 51], [12, True], [11, 49]],
        [[10, 50], [11, 51], [12, 50, 7], [11, 49]],
        [[10, 50], [11, 91], [12, 50], [11, 49]],
        [[500000, 50], [11, 51], [12, 50], [11, 49]],
        [[10**400, 50], [11, 51], [12, 50], [11, 49]],
        [DIAMOND[n] for n in (0, 2, 1, 3)],  # no ring: it crosses itself
        [[10, 50], [11, 50], [12, 50], [13, 50]],
        [[10, 50]] * 4,
        [[0, 80], [90, 80], [180, 80], [-90, 80]],  # around a pole
    ],
)
def test_what_is_no_ring_of_four_corners_is_passed_over(tmp_path: Path, footprint: object) -> None:
    feature = feature_of(AROUND_IT, footprint, tmp_path)
    assert feature["geometry"] == geometry(AROUND_IT)
    assert feature["properties"]["footprint"] == footprint
    assert feature_of(None, footprint, tmp_path)["geometry"] is None


def test_corners_more_than_half_the_globe_apart_leave_the_box(tmp_path: Path) -> None:
    box = BBox(-120, -10, 120, 10)
    corners = [[-120, 0], [0, 10], [120, 0], [0, -10]]
    assert feature_of(box, corners, tmp_path)["geometry"] == geometry(box)


def test_a_box_without_extent_is_a_point() -> None:
    assert geometry(BBox(1, 2, 1, 2)) == {"type": "Point", "coordinates": [1, 2]}


@pytest.mark.parametrize("name", ["r.xlsx", "r", "r.json"])
def test_an_unknown_suffix_lists_the_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="rsrt, captions, csv, parquet, geojson"):
        write(tmp_path / name, RECORDS)


def test_an_unknown_format_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'xlsx'"):
        write(tmp_path / "r.jsonl", RECORDS, "xlsx")
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path, RECORDS, "csv")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"r\.csv cannot be written"):
        write(tmp_path / "file" / "r.csv", RECORDS)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, format: str
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra parquet")

    def broken() -> Iterator[Record]:
        yield RECORDS[0]
        raise InputError("the store is damaged")

    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(InputError, match="the store is damaged"):
        write(path, broken(), format)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_export(tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra parquet")

    def many(count: int) -> Iterable[Record]:
        return (Record(f"{n}.jpg", FULL) for n in range(count))

    write(tmp_path / "warm", many(2100), format)
    peaks = []
    for count in (2100, 4200):
        tracemalloc.start()
        write(tmp_path / "out", many(count), format)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 100_000


def test_strange_texts_survive_a_round_trip(tmp_path: Path) -> None:
    rng = random.Random(7)
    alphabet = " \"',;=\n\t\\{}[]:é機\U0001f680\u2028ab"
    records = [
        Record(
            f"{n}.jpg",
            tuple(
                Variant(*("x" + "".join(rng.choices(alphabet, k=30)) for _ in range(3)))
                for _ in range(5)
            ),
        )
        for n in range(50)
    ]
    write(tmp_path / "r.jsonl", records)
    assert read_back(tmp_path / "r.jsonl") == records


def test_csv_of_others_is_read_whatever_the_order_and_the_separator(tmp_path: Path) -> None:
    for separator in ",;\t":
        rows = [
            ["Caption", " image ", "note", "bbox"],
            ["a dock", "a.jpg", "?", '"1,2,3,4"'],
            ["", "b.jpg", "?", ""],
        ]
        text = "\ufeff" + "".join(separator.join(row) + "\r\n" for row in rows)
        (tmp_path / "r.csv").write_bytes(text.encode())
        good, bad = read(tmp_path / "r.csv")
        assert good.content == Piece(
            "a.jpg", (Variant(caption="a dock"),), False, None, Metadata(BBox(1, 2, 3, 4))
        )
        assert isinstance(bad.content, BadLine)
        assert "no text" in bad.content.reason
        assert (bad.number, bad.content.image) == (3, "b.jpg")


def test_a_row_that_is_none_costs_one_line_and_reading_goes_on(tmp_path: Path) -> None:
    lines = [
        b"image,caption",
        b"a.jpg,one",
        b'b.jpg,"never ends',
        b"c.jpg,two,three",
        b"d.jpg",
        b"e.jpg,\xff",
        b"",
        b'"../f.jpg",x',
        b'g.jpg,"two',
        b'lines"',
        b"h.jpg," + b"x" * 200_000,
        b"i.jpg,a\0b",
        b"j.jpg,last",
    ]
    path = tmp_path / "r.csv"
    path.write_bytes(b"\n".join(lines))
    got = list(read(path))
    told = [(line.number, line.content.image, getattr(line.content, "reason", "")) for line in got]
    assert [(number, image) for number, image, _ in told] == [
        (2, "a.jpg"),
        (3, "b.jpg"),
        (4, "c.jpg"),
        (5, "d.jpg"),
        (6, "e.jpg"),
        (8, None),
        (10, "g.jpg"),
        (11, "h.jpg"),
        (12, "i.jpg"),
        (13, "j.jpg"),
    ]
    causes = [reason for _, _, reason in told]
    assert "not a CSV row" in causes[1]
    assert "3 cells under a header of 2" in causes[2]
    assert "1 cells under a header of 2" in causes[3]
    assert "not UTF-8" in causes[4]
    assert "'..' is not allowed" in causes[5]
    assert "field larger" in causes[7]
    assert "NUL" in causes[8]
    assert [bool(reason) for reason in causes].count(True) == 7
    for at, line in enumerate(got, start=1):
        assert list(read(path, (line.number, line.end))) == got[at:]


def test_a_csv_header_without_images_or_twice_the_same_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id,caption\n1,x\n")
    with pytest.raises(UsageError, match="not a file of records"):
        list(read(path))
    path.write_text("image,caption,caption\na.jpg,x,y\n")
    with pytest.raises(UsageError, match="'caption' twice"):
        list(read(path))


def test_help_and_import_need_no_pyarrow() -> None:
    code = "import sys, trsllava.interchange; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"trsllava\[parquet\]"):
        list(read(tmp_path / "r.parquet"))
    with pytest.raises(MissingExtra, match=r"trsllava\[parquet\]"):
        write(tmp_path / "out.parquet", RECORDS)
    assert not (tmp_path / "out.parquet").exists()
