"""``--metadata FILE``: what it says of each image, and that a bad row is named."""

import json

import pytest

from trsllava.errors import ConflictError, InputError, UsageError
from trsllava.images.metadata_file import read_metadata
from trsllava.records import BBox, Metadata


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


CSV = """image,west,south,east,north,datetime,city
a.jpg,10,50,11,51,2024-06-01,Ulm
b.jpg,,,,,,"Bad, Urach"
"""


def test_a_csv_of_places_dates_and_properties(tmp_path):
    known = read_metadata(write(tmp_path / "m.csv", CSV))
    assert dict(known) == {
        "a.jpg": Metadata(BBox(10, 50, 11, 51), "2024-06-01", {"city": "Ulm"}),
        "b.jpg": Metadata(properties={"city": "Bad, Urach"}),
    }


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_a_byte_order_mark_and_crlf(tmp_path, delimiter):
    text = "\ufefffile_name;City;Bbox\r\nb/a.jpg;Ulm;10,50,11,51\r\n".replace(";", delimiter)
    known = read_metadata(write(tmp_path / "m.csv", text))
    assert dict(known) == {"b/a.jpg": Metadata(BBox(10, 50, 11, 51), None, {"City": "Ulm"})}


def test_intervals_and_json_properties(tmp_path):
    text = (
        "image,start_datetime,end_datetime,properties,sensor\n"
        'a.jpg,2024-01-01,2024-12-31,"{""clouds"": 3}",S2\n'
        "b.jpg,2024-01-01,,,\n"
    )
    known = read_metadata(write(tmp_path / "m.csv", text))
    assert known["a.jpg"] == Metadata(None, "2024-01-01/2024-12-31", {"sensor": "S2", "clouds": 3})
    assert known["b.jpg"].datetime == "2024-01-01/.."


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a.jpg,10,50,11,x,,", "not four numbers"),
        ("a.jpg,10,50,11,,,", "four numbers W,S,E,N, not 3"),
        ("a.jpg,50,95,51,96,,", "W,S,E,N in degrees"),
        ("a.jpg,,,,,someday,", "not a date"),
        ("../a.jpg,,,,,,", "leaves its folder"),
        (",,,,,2024,", "no image id"),
        ("a.jpg,10", "2 cells under a header of 7"),
        ('a.jpg,"10', "not CSV"),
    ],
)
def test_a_bad_row_is_an_error_that_names_file_and_row(tmp_path, row, says):
    path = write(tmp_path / "m.csv", CSV + row + "\n")
    with pytest.raises(InputError, match=says) as error:
        read_metadata(path)
    assert "m.csv" in str(error.value)
    assert " 4" in str(error.value)


def test_one_image_said_twice_alike_is_fine_and_differently_a_conflict(tmp_path):
    path = write(tmp_path / "m.csv", CSV + "a.jpg,10,50,11,51,2024-06-01,Ulm\n")
    assert len(read_metadata(path)) == 2
    write(path, CSV + "./a.jpg,10,50,11,51,2024-06-02,Ulm\n")
    with pytest.raises(ConflictError, match=r"row 4: 'a\.jpg'"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,city\na.jpg,Ulm\n", "must name the image"),
        ("image,City,city\n", "twice"),
        ("", "must name the image"),
        ('{"type": "Topology"}', "not STAC"),
        ('{"type": "Catalog"}', "no features"),
    ],
)
def test_a_file_that_names_no_images_is_a_usage_error(tmp_path, content, says):
    with pytest.raises(UsageError, match=says):
        read_metadata(write(tmp_path / "m.csv", content))


@pytest.mark.parametrize("content", [b"image,city\na.jpg,K\xf6ln\n", b"PAR1 and no more"])
def test_a_damaged_file_is_an_input_error(tmp_path, content):
    with pytest.raises(InputError, match=r"m\.csv"):
        read_metadata(write(tmp_path / "m.csv", content))
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(tmp_path / "none.csv")


def test_windows_have_date_and_properties_of_their_scene_but_not_its_box(tmp_path):
    text = CSV.replace("a.jpg", "a.tif") + '"a.tif#0,0,9,9",,,,,2023,\n'
    known = read_metadata(write(tmp_path / "m.csv", text))
    assert known.get("a.tif#0,0,9,9") == Metadata(None, "2023")
    assert known.get("a.tif#9,0,9,9") == Metadata(None, "2024-06-01", {"city": "Ulm"})
    assert known.get("c.tif#9,0,9,9") is None
    assert known.get("c.tif") is None
    assert "a.tif#9,0,9,9" in known


def feature(name=None, geometry=None, bbox=None, **properties):
    body = {"type": "Feature", "geometry": geometry, "properties": properties}
    return body | ({"id": name} if name else {}) | ({"bbox": bbox} if bbox else {})


def collection(path, *features):
    return write(path, json.dumps({"type": "FeatureCollection", "features": features}))


def ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def test_geojson_gives_boxes_around_its_geometries(tmp_path):
    path = collection(
        tmp_path / "m.geojson",
        feature("a.jpg", {"type": "Polygon", "coordinates": [ring(10, 50, 11, 51)]}, city="Ulm"),
        feature(None, {"type": "Point", "coordinates": [9, 48, 500]}, image="b.jpg"),
        feature("c.jpg", bbox=[1, 2, 3, 4], start_datetime="2024-01-01T00:00:00Z", datetime=None),
        feature(
            "d.jpg",
            {
                "type": "MultiPolygon",
                "coordinates": [[ring(179, -18, 180, -17)], [ring(-180, -18, -178, -17)]],
            },
        ),
        feature("e.jpg", {"type": "MultiPolygon", "coordinates": [[ring(1, 1, 2, 2)]]}, tags=[1]),
        feature("f.jpg"),
    )
    assert dict(read_metadata(path)) == {
        "a.jpg": Metadata(BBox(10, 50, 11, 51), None, {"city": "Ulm"}),
        "b.jpg": Metadata(BBox(9, 48, 9, 48)),
        "c.jpg": Metadata(BBox(1, 2, 3, 4), "2024-01-01T00:00:00Z/.."),
        "d.jpg": Metadata(BBox(179, -18, -178, -17)),
        "e.jpg": Metadata(BBox(1, 1, 2, 2), None, {"tags": [1]}),
        "f.jpg": Metadata(),
    }


@pytest.mark.parametrize("bad", [7, {"type": "Feature"}, feature("a.jpg", bbox=[1, 2]), feature(5)])
def test_a_bad_feature_is_named(tmp_path, bad):
    path = collection(tmp_path / "m.geojson", feature("z.jpg"), bad)
    if bad == feature(5):
        assert set(read_metadata(path)) == {"z.jpg", "5"}
        return
    with pytest.raises(InputError, match=r"m\.geojson, row 2: "):
        read_metadata(path)


def test_parquet_with_times_nested_boxes_and_geometries(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    from datetime import UTC, datetime

    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), (10.0, 50.0, 11.0, 51.0), strict=True))
    table = pyarrow.table(
        {
            "image": ["a.jpg", "b.jpg"],
            "bbox": [corners, None],
            "datetime": [datetime(2024, 6, 1, tzinfo=UTC), None],
            "clouds": [3.5, None],
            "geometry": [b"\x01", b"\x01"],
        }
    )
    parquet.write_table(table, tmp_path / "m.parquet")
    assert dict(read_metadata(tmp_path / "m.parquet")) == {
        "a.jpg": Metadata(BBox(10, 50, 11, 51), "2024-06-01T00:00:00+00:00", {"clouds": 3.5}),
        "b.jpg": Metadata(),
    }
    parquet.write_table(pyarrow.table({"name": ["a.jpg"]}), tmp_path / "n.parquet")
    with pytest.raises(UsageError, match="must name the image"):
        read_metadata(tmp_path / "n.parquet")
