"""What is found in folders, lists and patterns, under which ids, and what is passed over."""

import json
import os
import socket
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from trsllava.errors import ConflictError, InputError, MissingExtra, TrsllavaError, UsageError
from trsllava.images import formats
from trsllava.images.discover import discover
from trsllava.images.names import id_of, refused
from trsllava.images.source import Reading, Skipped, Source, Unfit
from trsllava.records import image_id


def picture(path, colour="red", size=(32, 32), **options):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def find(*paths, prefix="", reading=None):
    return list(discover(paths, reading or Reading(), prefix))


def ids(found):
    return [thing.image for thing in found if isinstance(thing, Source)]


def skipped(found):
    counts = Counter()
    for thing in found:
        if isinstance(thing, Skipped):
            counts[thing.reason] += thing.count
    return dict(counts)


def unfit(found):
    return {thing.image: thing.reason for thing in found if isinstance(thing, Unfit)}


# Folders


def test_a_folder_is_walked_in_order_and_ids_are_relative_to_it(tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png", "c.png", "b/deep/er/x.png", "a/z.png"):
        picture(tmp_path / "in" / name)
    found = find(tmp_path / "in")
    assert ids(found) == ["a.png", "c.png", "a/z.png", "b/1.png", "b/2.png", "b/deep/er/x.png"]
    for source in found:
        assert source.path == str(tmp_path / "in" / source.image)
        status = os.stat(source.path)
        assert (source.size, source.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert source.member is source.window is source.rendering is None


def test_what_a_camera_and_a_mac_leave_beside_pictures_is_counted_not_captioned(tmp_path):
    for name in ("A.JPG", "c.Png"):
        picture(tmp_path / name)
    Image.new("RGB", (32, 32)).save(tmp_path / "b.TIFF")
    (tmp_path / "._A.JPG").write_bytes(b"\0\5\x16\7" * 1024)
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "a.tif.aux.xml",
        "a.tif.ovr",
        "a.tfw",
        "A.json",
        "A.txt",
    ):
        (tmp_path / name).write_bytes(b"x")
    for name in ("__MACOSX/a.png", ".hidden/x.png", "@eaDir/A.JPG"):
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").write_text("x")
    (tmp_path / "shard.tar").write_bytes(b"x")
    (tmp_path / "photo.HEIC").write_bytes(b"x")
    found = find(tmp_path)
    assert sorted(ids(found)) == ["A.JPG", "b.TIFF", "c.Png"]
    assert not unfit(found)
    assert skipped(found) == {
        "hidden": 5,
        "companion file": 6,
        "no image": 1,
        "tar in a folder (give it as a PATH of its own)": 1,
        "picture format that is not read": 1,
    }


def test_names_that_differ_in_case_only_are_two_images(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "A.png")
    assert ids(find(tmp_path)) == ["A.png", "a.png"]


def test_odd_but_legal_names_keep_every_character(tmp_path):
    names = [
        "new\nline.png",
        "quo'te\".png",
        " blank .png",
        "x" * 251 + ".png",
        "100%.png",
        "-.png",
    ]
    for name in names:
        picture(tmp_path / name)
    assert sorted(ids(find(tmp_path))) == sorted(names)


def test_a_folder_called_like_a_picture_is_a_folder(tmp_path):
    picture(tmp_path / "x.jpg" / "y.jpg")
    assert ids(find(tmp_path)) == ["x.jpg/y.jpg"]


def test_pipes_and_sockets_called_like_pictures_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s.png"))
    server.close()
    picture(tmp_path / "a.png")
    found = find(tmp_path)
    assert ids(found) == ["a.png"]
    assert skipped(found) == {"not a file": 2}


def test_links_leading_out_are_not_followed(tmp_path):
    picture(tmp_path / "outside" / "secret.png")
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "file.png").symlink_to(tmp_path / "outside" / "secret.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "up").symlink_to("..")
    (tmp_path / "in-twin").mkdir()
    picture(tmp_path / "in-twin" / "b.png")
    (tmp_path / "in" / "twin.png").symlink_to(tmp_path / "in-twin" / "b.png")
    found = find(tmp_path / "in")
    assert ids(found) == ["a.png"]
    assert skipped(found) == {"link leading out": 4}


def test_loops_of_links_end_and_links_to_files_inside_are_second_names(tmp_path):
    picture(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "2.png").symlink_to("1.png")
    (tmp_path / "a" / "loop").symlink_to(".")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "dangling.png").symlink_to("gone.png")
    found = find(tmp_path)
    assert ids(found) == ["a/1.png", "a/2.png"]
    assert unfit(found) == {"dangling.png": "gone"}
    assert skipped(found) == {"link to a folder": 2, "link loop": 1}


def test_a_path_that_is_a_link_itself_is_followed(tmp_path):
    picture(tmp_path / "real" / "a.png")
    (tmp_path / "link").symlink_to("real")
    assert ids(find(tmp_path / "link")) == ["a.png"]


def test_a_folder_that_may_not_be_read_is_unfit_and_the_rest_is_found(tmp_path, monkeypatch):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "2.png")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find(tmp_path)
    assert ids(found) == ["b/2.png"]
    assert unfit(found) == {"a": "unreadable"}
    with pytest.raises(InputError, match="Permission denied"):
        find(tmp_path / "a")


def test_a_disk_in_trouble_stops_the_listing_instead_of_losing_a_folder(tmp_path, monkeypatch):
    picture(tmp_path / "a" / "1.png")
    scandir = os.scandir

    def failing(path):
        if str(path).endswith("/a"):
            raise OSError(5, "Input/output error", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(TrsllavaError, match="Input/output error"):
        find(tmp_path)


def test_a_tree_deeper_than_the_recursion_limit_is_walked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 100
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    picture("a.png")
    try:
        assert ids(find(tmp_path)) == ["d/" * depth + "a.png"]
    finally:  # pytest could not remove it
        os.remove("a.png")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")


# Ids


def test_a_name_that_is_not_utf8_is_unfit_under_a_printable_id(tmp_path):
    picture(tmp_path / "a.png")
    folder = os.fsencode(tmp_path)
    for name in (b"caf\xe9.png", b"\xff.png"):
        with open(folder + b"/" + name, "wb") as file:
            file.write(b"x")
    os.mkdir(folder + b"/d\xe9")
    with open(folder + b"/d\xe9/x.png", "wb") as file:
        file.write(b"x")
    found = find(tmp_path)
    assert ids(found) == ["a.png"]
    assert unfit(found) == {
        "caf#xE9.png": "bad_name",
        "#xFF.png": "bad_name",
        "d#xE9/x.png": "bad_name",
    }
    for thing in found:
        thing.image.encode()
        getattr(thing, "detail", "").encode()


@pytest.mark.parametrize("name", ["a\\..\\b.png", "\\server.png", "C:\\x.png"])
def test_a_name_that_would_be_a_path_elsewhere_is_unfit(tmp_path, name):
    picture(tmp_path / name)
    found = find(tmp_path)
    assert list(unfit(found).values()) == ["bad_name"]
    assert "\\" not in found[0].image


def test_ids_are_nfc_and_two_names_that_are_one_after_it_are_a_conflict(tmp_path):
    picture(tmp_path / "d" / "e\u0301.png")
    assert ids(find(tmp_path)) == ["d/\u00e9.png"]
    picture(tmp_path / "d" / "\u00e9.png")
    with pytest.raises(ConflictError, match=r"'e\\u0301.png' and '\\xe9.png'"):
        find(tmp_path)
    with pytest.raises(ConflictError, match="twice"):
        find(str(tmp_path / "d" / "*.png"))


def test_companions_that_are_one_after_nfc_do_no_harm(tmp_path):
    picture(tmp_path / "a.png")
    for name in ("e\u0301.txt", "\u00e9.txt"):
        (tmp_path / name).write_text("x")
    assert ids(find(tmp_path)) == ["a.png"]


def test_a_hash_in_a_name_is_never_taken_for_a_window(tmp_path):
    names = [
        "a#0,0,8,8",
        "a%230,0,8,8",
        "a%25230,0,8,8",
        "a%2523",
        "a%23",
        "a#",
        "%#",
        "%25#",
        "50%",
    ]
    assert len({id_of(name) for name in names}) == len(names)
    assert not any("#" in id_of(name) for name in names)
    assert id_of("a#1.png") == "a%231.png"
    assert id_of("a%23.png") == "a%2523.png"
    assert id_of("100%25.png") == "100%25.png"
    picture(tmp_path / "a#1.png")
    (source,) = find(tmp_path)
    assert source.image == "a%231.png"
    assert Path(source.path).is_file()


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/../b", "C:/x", "C:\\x", "\\\\h\\x", "\0", "", "/", "..", " ", "\udcff"],
)
def test_a_refused_name_gets_an_id_that_no_file_can_have(name):
    with pytest.raises(InputError):
        id_of(name)
    spelled = refused(name)
    assert "#x" in spelled
    assert image_id(spelled) == spelled


def test_the_same_id_from_two_paths_is_a_conflict_that_names_both(tmp_path):
    picture(tmp_path / "one" / "a.png")
    picture(tmp_path / "two" / "a.png")
    with pytest.raises(ConflictError) as caught:
        find(tmp_path / "one", tmp_path / "two")
    for part in (str(tmp_path / "one"), str(tmp_path / "two"), "--prefix", "a.png"):
        assert part in str(caught.value)
    assert ids(find(tmp_path / "two", prefix="second")) == ["second/a.png"]


def test_a_prefix_stands_before_everything_that_is_named(tmp_path):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").symlink_to("nothing")
    found = find(tmp_path / "in", prefix="x/y/")
    assert ids(found) == ["x/y/a.png"]
    assert unfit(found) == {"x/y/b.png": "gone"}
    with pytest.raises(InputError):
        find(tmp_path / "in", prefix="../up")


# PATHs


def test_a_single_picture_has_its_name_for_an_id(tmp_path):
    picture(tmp_path / "d" / "._odd.PNG")
    assert ids(find(tmp_path / "d" / "._odd.PNG")) == ["._odd.PNG"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "No such file"),
        ("missing.png", "No such file"),
        ("data.parquet", "no kind of archive that is read"),
        ("x.tar.gz", "uncompress"),
        ("x.TGZ", "uncompress"),
        ("noise", "no kind of archive"),
        ("pipe.png", "neither a file nor a folder"),
        ("none-*.png", "matches nothing"),
        ("a\0b", "null"),
        ("", "cannot be read"),
    ],
)
def test_a_path_that_is_no_archive_is_refused_at_once_in_one_line(
    tmp_path, monkeypatch, name, says
):
    monkeypatch.chdir(tmp_path)
    for made in ("data.parquet", "x.tar.gz", "x.TGZ", "noise"):
        Path(made).write_bytes(b"PAR1")
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match=says) as caught:
        discover([name], Reading())
    assert "\n" not in str(caught.value)


def test_no_path_at_all_says_what_is_looked_for():
    with pytest.raises(UsageError, match=r"\.jpg.*\.tar"):
        discover([], Reading())
    assert ".tiff" in formats.looked_for()


def test_a_path_below_a_folder_that_is_not_utf8_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xe9"
    os.mkdir(folder)
    with pytest.raises(UsageError, match="UTF-8"):
        discover([os.fsdecode(folder)], Reading())


# Lists


def test_a_list_gives_its_lines_in_order_as_written(tmp_path):
    for name in ("b.png", "d/a.png", "#1.png", "no-suffix"):
        picture(tmp_path / name, format="PNG")
    (tmp_path / "list.txt").write_bytes(
        "\ufeffd/a.png\r\n\n# a remark\n./b.png\n./#1.png\nno-suffix".encode()
    )
    found = find(tmp_path / "list.txt")
    assert ids(found) == ["d/a.png", "b.png", "%231.png", "no-suffix"]
    assert all(os.path.samefile(s.path, tmp_path / s.image.replace("%23", "#")) for s in found)


def test_a_line_that_leads_nowhere_is_unfit_and_the_others_are_read(tmp_path):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "out.png")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out.png")
    (tmp_path / "in" / "folder").mkdir()
    (tmp_path / "in" / "l.lst").write_bytes(
        b"a.png\n../out.png\n" + os.fsencode(tmp_path) + b"/out.png\nmissing.png\ncaf\xe9.png\n"
        b"link.png\nfolder\nx.tar\n"
    )
    found = find(tmp_path / "in" / "l.lst")
    assert ids(found) == ["a.png"]
    assert sorted(unfit(found).values()) == [*["bad_name"] * 3, "gone", *["not_an_image"] * 2]
    assert "line 4" in next(t.detail for t in found if getattr(t, "reason", "") == "gone")
    assert skipped(found) == {"link leading out": 1}


def test_a_line_given_twice_is_a_conflict(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "l.txt").write_text("a.png\n./a.png\n")
    with pytest.raises(ConflictError, match="twice"):
        find(tmp_path / "l.txt")


@pytest.mark.parametrize("content", ["a.png\n".encode("utf-16"), b"x" * 200_000, b"a\0b\n"])
def test_a_list_that_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "l.txt").write_bytes(content)
    with pytest.raises(InputError, match="line 1"):
        find(tmp_path / "l.txt")


# Patterns


def test_a_pattern_takes_what_matches_with_ids_from_its_fixed_folder(tmp_path):
    for name in ("d/2024/a.png", "d/2024/b.jpg", "d/2023/a.png", "d/2024/sub/c.png", "d/.h/a.png"):
        picture(tmp_path / name)
    (tmp_path / "d" / "2024" / "a.txt").write_text("a companion, no list")
    at = str(tmp_path / "d")
    assert ids(find(at + "/*/a.png")) == ["2023/a.png", "2024/a.png"]
    assert ids(find(at + "/20?4/[ab].*")) == ["2024/a.png", "2024/b.jpg"]
    assert ids(find(at + "/*4")) == ["2024/a.png", "2024/b.jpg", "2024/sub/c.png"]
    assert ids(find(at + "/**/*.png")) == ["2023/a.png", "2024/a.png", "2024/sub/c.png"]
    assert ids(find(at + "/**")) == ids(find(at + "/20*"))
    assert ids(find(at + "/{2024,2023}/a.png")) == ["2024/a.png", "2023/a.png"]
    assert skipped(find(at + "/2024/a*")) == {"companion file": 1}
    with pytest.raises(UsageError, match=r"more than one \*\*"):
        find(at + "/**/x/**/y")


def test_a_relative_pattern_starts_where_the_user_is(tmp_path, monkeypatch):
    picture(tmp_path / "a1.png")
    monkeypatch.chdir(tmp_path)
    (source,) = find("a*.png")
    assert (source.image, source.path) == ("a1.png", str(tmp_path / "a1.png"))


def test_a_pattern_that_asks_for_lists_gets_their_lines(tmp_path):
    for name in "ab":
        picture(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"{name}.png\n")
    assert ids(find(str(tmp_path / "*.txt"))) == ["a.png", "b.png"]
    assert ids(find(str(tmp_path / "{a,b}.txt"))) == ["a.png", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    picture(tmp_path / "img[1].png")
    picture(tmp_path / "img1.png")
    picture(tmp_path / "{a}.png")
    assert ids(find(str(tmp_path / "img[1].png"))) == ["img[1].png"]
    assert ids(find(str(tmp_path / "{a}.png"))) == ["{a}.png"]


def test_braces_count_with_their_zeros_and_a_missing_one_is_named(tmp_path):
    for number in (8, 9, 10):
        picture(tmp_path / f"p{number:03}.png")
    pattern = str(tmp_path / "p{008..010}.png")
    assert ids(find(pattern)) == ["p008.png", "p009.png", "p010.png"]
    assert ids(find(str(tmp_path / "p0{10..10}.png"))) == ["p010.png"]
    with pytest.raises(UsageError, match=r"p011.png' of the pattern .*011"):
        find(str(tmp_path / "p{008..011}.png"))


def test_patterns_do_not_follow_links_out_or_round(tmp_path):
    picture(tmp_path / "out" / "x.png")
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "loop").symlink_to(".")
    found = find(str(tmp_path / "in" / "**" / "*.png"))
    assert ids(found) == ["a.png"]
    found = find(str(tmp_path / "in" / "*"))
    assert ids(found) == ["a.png"]
    assert skipped(found) == {"link leading out": 1, "link to a folder": 1}


# Rasters without rasterio


def test_without_rasterio_plain_tiffs_are_read_and_others_are_set_aside_with_the_remedy(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    picture(tmp_path / "a.tif")
    (source,) = find(tmp_path)
    assert source.rendering is None
    with pytest.raises(MissingExtra, match="geo"):
        find(tmp_path, reading=Reading(tile=64))
    Image.new("I;16", (32, 32)).save(tmp_path / "b.tif")
    found = find(tmp_path)
    assert ids(found) == ["a.tif"]
    (other,) = [item for item in found if isinstance(item, Unfit)]
    assert (other.image, other.reason) == ("b.tif", "needs_geo")
    assert "pip install 'trsllava[geo]'; then try it again with --retry-failed" in other.detail


def test_a_raster_that_cannot_be_opened_is_unfit(tmp_path):
    pytest.importorskip("rasterio")
    (tmp_path / "a.tif").write_bytes(b"II*\0 and nothing more")
    picture(tmp_path / "b.png")
    found = find(tmp_path)
    assert list(unfit(found)) == ["a.tif"]
    assert ids(found) == ["b.png"]


# STAC


def test_a_stac_item_gives_its_pictures_with_what_it_knows_of_them(tmp_path):
    pytest.importorskip("pystac")
    picture(tmp_path / "a.png")
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "scene-1",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 51], [10, 50]]],
        },
        "bbox": [10, 50, 11, 51],
        "properties": {"datetime": "2024-06-01T10:00:00Z"},
        "links": [],
        "assets": {"visual": {"href": "./a.png", "type": "image/png", "roles": ["data"]}},
    }
    (tmp_path / "i.json").write_text(json.dumps(item))
    (source,) = find(tmp_path / "i.json", prefix="p")
    assert source.image.startswith("p/scene-1")
    assert source.path == str(tmp_path / "a.png")
    assert source.metadata.bbox == (10, 50, 11, 51)
    assert source.metadata.datetime == "2024-06-01T10:00:00Z"
    with pytest.raises(ConflictError, match=r"twice|both"):
        find(tmp_path / "i.json", str(tmp_path / "*.json"))


# Size


def test_a_large_folder_is_listed_fast_and_its_ids_are_not_kept(tmp_path):
    for folder in range(20):
        os.mkdir(tmp_path / str(folder))
        for number in range(250):
            (tmp_path / str(folder) / f"{number}.png").touch()
    started = time.perf_counter()
    assert sum(1 for _ in discover([tmp_path], Reading())) == 5000
    assert time.perf_counter() - started < 2.5  # 100,000 in well under a minute on a slow disk
    tracemalloc.start()
    try:
        for _ in discover([tmp_path], Reading()):
            pass
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
