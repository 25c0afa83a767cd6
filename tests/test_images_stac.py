"""STAC on disk: which pictures an item gives, what it says of them, and how links end."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from trsllava.errors import InputError, UsageError
from trsllava.images import notices
from trsllava.images.source import Reading, Skipped, Source, Unfit
from trsllava.images.stac import sources

HERE = (15.0, 44.9955, 15.0064, 45.0)  # about where `tif` puts a raster
UTM = Affine(10, 0, 500000, 0, -10, 4983000)


@pytest.fixture(autouse=True)
def _new_job():
    notices.forget()


def tif(path, crs="EPSG:32633", transform=UTM, size=(50, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=3,
            height=size[0],
            width=size[1],
            dtype="uint8",
            **({"crs": crs, "transform": transform} if crs else {}),
        ) as file:
            file.write(np.full((3, *size), 90, "uint8"))
    return path


def item(path, bbox=HERE, assets=None, **properties):
    properties.setdefault("datetime", "2024-06-01T10:00:00Z")
    body = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": path.stem,
        "geometry": None,
        "properties": properties,
        "links": [],
        "assets": assets
        if assets is not None
        else {"visual": {"href": "./a.tif", "type": "image/tiff; application=geotiff"}},
    }
    if bbox:
        body["bbox"] = list(bbox)
    return write(path, body)


def catalogue(path, *links, kind="Catalog"):
    body = {"type": kind, "stac_version": "1.1.0", "id": path.stem, "description": "c"}
    return write(path, body | {"links": [{"rel": rel, "href": href} for rel, href in links]})


def write(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body))
    return path


def found_in(path, reading=None):
    return list(sources(path, reading or Reading()))


def ids(found):
    return [one.image for one in found if not isinstance(one, Skipped)]


# --- links


def test_an_item_is_an_archive_of_its_picture(tmp_path):
    tif(tmp_path / "a.tif")
    [one] = found_in(item(tmp_path / "scene.json", **{"eo:cloud_cover": 3.5, "platform": "s2"}))
    assert one.image == "scene/visual"
    assert one.path == str(tmp_path / "a.tif")
    assert one.metadata.datetime == "2024-06-01T10:00:00Z"
    assert one.metadata.properties == {"eo:cloud_cover": 3.5, "platform": "s2"}


def test_catalogues_are_followed_down_in_order_and_loops_end(tmp_path):
    tif(tmp_path / "a.tif")
    for name in ("x", "y", "z"):
        item(tmp_path / f"{name}.json")
    item(tmp_path / "sub" / "deep" / "w.json", assets={"visual": {"href": "../../a.tif"}})
    catalogue(
        tmp_path / "catalog.json",
        ("root", "./catalog.json"),
        ("self", "https://example.com/catalog.json"),
        ("item", "x.json"),
        ("child", "sub/collection.json"),
        ("item", str(tmp_path / "y.json")),
        ("item", "./x.json"),
    )
    catalogue(
        tmp_path / "sub" / "collection.json",
        ("parent", "../catalog.json"),
        ("child", "../catalog.json"),
        ("child", "deep/catalog.json"),
        ("item", "../z.json"),
        kind="Collection",
    )
    catalogue(
        tmp_path / "sub" / "deep" / "catalog.json",
        ("child", "../collection.json"),
        ("item", "w.json"),
        ("child", "catalog.json"),
    )
    found = found_in(tmp_path / "catalog.json")
    assert ids(found) == ["x/visual", "w/visual", "z/visual", "y/visual"]
    assert len(found) == 4


def test_an_item_collection_gives_all_its_items(tmp_path):
    tif(tmp_path / "a.tif")
    bodies = [json.loads(item(tmp_path / f"{name}.json").read_text()) for name in ("p", "q")]
    path = write(tmp_path / "items.json", {"type": "FeatureCollection", "features": bodies})
    assert ids(found_in(path)) == ["p/visual", "q/visual"]


def test_links_that_lead_nowhere_are_a_line_each_and_not_the_end(tmp_path, caplog):
    tif(tmp_path / "a.tif")
    item(tmp_path / "x.json")
    (tmp_path / "cut.json").write_text('{"type": "Feature", "id"')
    (tmp_path / "folder.json").mkdir()
    write(tmp_path / "other.json", {"type": "Something"})
    catalogue(
        tmp_path / "catalog.json",
        ("child", "missing/catalog.json"),
        ("item", "cut.json"),
        ("item", "folder.json"),
        ("item", "other.json"),
        ("item", "https://example.com/far.json"),
        ("item", "x.json"),
    )
    found = found_in(tmp_path / "catalog.json")
    assert ids(found) == ["x/visual"]
    assert sorted(one.reason for one in found if isinstance(one, Skipped)) == [
        *["broken STAC link"] * 4,
        "remote STAC link",
    ]
    lines = [record.message for record in caplog.records]
    assert len(lines) == 5
    for name in ("missing/catalog.json", "cut.json", "folder.json", "other.json", "far.json"):
        assert sum(name in line for line in lines) == 1
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("href", ["a\0b", "\ud800.json", "http://[bad", "file:///\0"])
def test_links_and_assets_that_can_be_no_path_are_not_the_end(tmp_path, href):
    tif(tmp_path / "a.tif")
    item(tmp_path / "x.json")
    item(
        tmp_path / "y.json",
        assets={"data": {"href": href, "type": "image/png"}, "b": {"href": href}},
    )
    path = catalogue(tmp_path / "c.json", ("item", href), ("item", "y.json"), ("item", "x.json"))
    skipped, bad, good = found_in(path)
    assert isinstance(skipped, Skipped)
    assert (bad.image, bad.reason) == ("y/data", "remote" if href.startswith("http") else "gone")
    assert good.image == "x/visual"


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ("{", InputError, "not JSON"),
        ('{"type": "Topology"}', UsageError, "not STAC"),
        ("[1]", UsageError, "not STAC"),
        ("[" * 100000, InputError, "nested too deep"),
    ],
)
def test_a_first_file_that_is_not_stac_is_an_error_that_names_it(tmp_path, content, error, says):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(error, match=says) as raised:
        found_in(path)
    assert "c.json" in str(raised.value)


def test_names_with_spaces_are_found_written_either_way(tmp_path):
    tif(tmp_path / "my image.tif")
    tif(tmp_path / "100%25.tif")
    item(tmp_path / "a b.json", assets={"visual": {"href": "./my%20image.tif"}})
    item(tmp_path / "c.json", assets={"visual": {"href": "100%25.tif"}})
    item(tmp_path / "d.json", assets={"visual": {"href": (tmp_path / "my image.tif").as_uri()}})
    links = [("item", "./a%20b.json"), ("item", "c.json"), ("item", "d.json")]
    found = found_in(catalogue(tmp_path / "catalog.json", *links))
    assert [(one.image, Path(one.path).name) for one in found] == [
        ("a b/visual", "my image.tif"),
        ("c/visual", "100%25.tif"),
        ("d/visual", "my image.tif"),
    ]


# --- assets


def asset(*roles, kind="image/tiff", href="a.tif"):
    return {"href": href, "type": kind} | ({"roles": list(roles)} if roles else {})


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ({"visual": asset("data"), "B02": asset("data"), "other": asset("visual")}, ["visual"]),
        ({"B02": asset("data"), "tci": asset("visual")}, ["tci"]),
        ({"B02": asset("data"), "B03": asset("data", "reflectance")}, ["B02", "B03"]),
        ({"thumb": asset("thumbnail"), "x": asset("overview"), "y": asset("overview")}, ["x"]),
        ({"thumb": asset("thumbnail"), "plain": asset()}, ["plain"]),
        ({"thumb": asset("thumbnail", "visual"), "B02": asset("data")}, ["B02"]),
        ({"thumb": asset("thumbnail"), "meta": asset("metadata")}, ["thumb"]),
        ({"image": {"href": "a.tif"}, "info": {"href": "info.xml"}}, ["image"]),
        ({"cog": asset("data"), "table": asset("data", kind="text/csv")}, ["cog"]),
        ({"odd": 7, "none": {"type": "image/png"}, "B02": asset("data")}, ["B02"]),
    ],
)
def test_assets_are_chosen_by_key_and_role(tmp_path, assets, expected):
    tif(tmp_path / "a.tif")
    found = found_in(item(tmp_path / "i.json", assets=assets))
    assert ids(found) == [f"i/{key}" for key in expected]


def test_an_item_without_a_picture_is_counted(tmp_path):
    path = item(tmp_path / "i.json", assets={"meta": asset("metadata")})
    assert found_in(path) == [Skipped("STAC item without a picture", 1)]


def test_remote_and_missing_assets_keep_their_place_with_a_reason(tmp_path):
    (tmp_path / "d.tif").mkdir()
    assets = {
        "a": asset("data", href="https://example.com/a.tif?sig=1"),
        "b": asset("data", href="s3://bucket/b.tif"),
        "c": asset("data", href="/vsicurl/https://example.com/c.tif"),
        "d": asset("data", href="d.tif"),
    }
    found = found_in(item(tmp_path / "i.json", assets=assets))
    assert [(one.image, one.reason) for one in found] == [
        ("i/a", "remote"),
        ("i/b", "remote"),
        ("i/c", "gone"),
        ("i/d", "not_an_image"),
    ]
    assert "download" in found[0].detail


def test_an_id_that_is_none_is_refused_and_one_with_a_sharp_sign_escaped(tmp_path):
    tif(tmp_path / "a.tif")
    bodies = []
    for name in ("../up", "a#0,0,1,1", 7):
        body = json.loads(item(tmp_path / "i.json").read_text())
        bodies.append(body | {"id": name})
    path = write(tmp_path / "items.json", {"type": "FeatureCollection", "features": bodies})
    bad, escaped, without = found_in(path)
    assert isinstance(bad, Unfit)
    assert bad.reason == "bad_name"
    assert escaped.image == "a%230,0,1,1/visual"
    assert without == Skipped("STAC item without an id", 1)


def test_other_pictures_take_place_and_date_from_their_item(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "p.png")
    path = item(tmp_path / "i.json", assets={"visual": asset(kind="image/png", href="p.png")})
    [one] = found_in(path)
    assert isinstance(one, Source)
    assert (one.rendering, one.size) == (None, (tmp_path / "p.png").stat().st_size)
    assert one.metadata.bbox == HERE
    assert one.metadata.datetime == "2024-06-01T10:00:00Z"


def test_rasters_are_cut_in_windows_with_boxes_of_their_own(tmp_path):
    tif(tmp_path / "a.tif", size=(64, 64))
    found = found_in(item(tmp_path / "i.json"), Reading(tile=32))
    assert ids(found) == [f"i/visual#{x},{y},32,32" for y in (0, 32) for x in (0, 32)]
    assert len({one.metadata.bbox for one in found}) == 4
    assert all(one.metadata.datetime == "2024-06-01T10:00:00Z" for one in found)


# --- place and date


def test_the_file_wins_over_an_item_that_lies_elsewhere_and_that_is_said_once(tmp_path, caplog):
    tif(tmp_path / "a.tif")
    links = []
    for name in ("x", "y"):
        item(tmp_path / f"{name}.json", bbox=(10, 50, 11, 51))
        links.append(("item", f"{name}.json"))
    for one in found_in(catalogue(tmp_path / "catalog.json", *links)):
        assert one.metadata.bbox == pytest.approx(HERE, abs=2e-2)
    assert len(caplog.records) == 1
    assert "the file is believed" in caplog.text


def test_a_shape_that_is_transposed_is_noticed_and_the_file_believed(tmp_path, caplog):
    tif(tmp_path / "a.tif", size=(50, 80))
    [one] = found_in(item(tmp_path / "i.json", **{"proj:shape": [80, 50]}))
    assert one.metadata.bbox != HERE
    assert "proj:shape is [80, 50] (rows, columns), of the file [50, 80]" in caplog.text


def test_an_item_that_agrees_keeps_its_box(tmp_path, caplog):
    tif(tmp_path / "a.tif")
    [own] = found_in(item(tmp_path / "i.json", bbox=None))
    nearly = [round(side, 4) for side in own.metadata.bbox]
    [one] = found_in(item(tmp_path / "i.json", bbox=nearly, **{"proj:shape": [50, 50]}))
    assert list(one.metadata.bbox) == nearly
    assert caplog.text == ""


def test_an_item_whose_box_is_much_larger_gets_that_of_its_file_without_a_word(tmp_path, caplog):
    tif(tmp_path / "a.tif")
    [own] = found_in(item(tmp_path / "i.json", bbox=None))
    [one] = found_in(item(tmp_path / "i.json", bbox=(10, 40, 20, 50)))
    assert one.metadata.bbox == own.metadata.bbox
    assert caplog.text == ""


def test_across_the_antimeridian_item_and_file_agree(tmp_path, caplog):
    tif(tmp_path / "a.tif", "EPSG:4326", Affine(0.1, 0, 179, 0, -0.1, -17), size=(10, 20))
    [one] = found_in(item(tmp_path / "i.json", bbox=(179, -18, -179, -17)))
    assert one.metadata.bbox == (179, -18, -179, -17)
    assert "believed" not in caplog.text


def test_a_raster_without_crs_takes_the_box_of_its_item_but_its_windows_do_not(tmp_path):
    tif(tmp_path / "a.tif", crs=None, size=(64, 64))
    path = item(tmp_path / "i.json")
    assert found_in(path)[0].metadata.bbox == HERE
    assert {one.metadata.bbox for one in found_in(path, Reading(tile=32))} == {None}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            {
                "datetime": None,
                "start_datetime": "2024-01-01T00:00:00Z",
                "end_datetime": "2024-12-31T23:59:59Z",
            },
            "2024-01-01T00:00:00Z/2024-12-31T23:59:59Z",
        ),
        ({"datetime": None, "start_datetime": "2024-01-01T00:00:00Z"}, "2024-01-01T00:00:00Z/.."),
        ({"datetime": None}, None),
        ({"datetime": "last summer"}, None),
        ({"datetime": 2024}, None),
        (
            {"datetime": None, "start_datetime": "2024-02-01", "end_datetime": "2024-01-01"},
            None,
        ),
    ],
)
def test_intervals_and_items_without_a_date_are_read(tmp_path, times, expected):
    tif(tmp_path / "a.tif")
    [one] = found_in(item(tmp_path / "i.json", **times))
    assert one.metadata.datetime == expected
    assert not {"datetime", "start_datetime", "end_datetime"} & set(one.metadata.properties)


@pytest.mark.parametrize("bbox", [(1, 2, 3), (500000, 0, 500001, 1), ("a", 1, 2, 3)])
def test_a_box_that_is_none_is_left_out_and_said(tmp_path, bbox, caplog):
    tif(tmp_path / "a.tif", crs=None)
    assert found_in(item(tmp_path / "i.json", bbox=bbox))[0].metadata.bbox is None
    assert "bbox is left out" in caplog.text


def test_properties_that_are_lists_or_no_json_are_left_out(tmp_path):
    tif(tmp_path / "a.tif")
    [one] = found_in(
        item(tmp_path / "i.json", a=True, b=[1], c={"d": 1}, e="text", f=None, g=2, h="\ud800")
    )
    assert one.metadata.properties == {"a": True, "e": "text", "g": 2}
