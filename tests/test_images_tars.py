"""Images in tars: where their bytes are, and what hostile or damaged tars do."""

import io
import os
import tarfile
from collections import Counter

import pytest
from PIL import Image

from trsllava.errors import ConflictError, UsageError
from trsllava.images.discover import discover
from trsllava.images.opening import open_source
from trsllava.images.source import Reading, Skipped, Source, Unfit, Unreadable

COLOURS = {
    "red": (200, 30, 30),
    "blue": (30, 30, 200),
    "lime": (30, 200, 30),
    "tan": (210, 180, 140),
}


def png(colour, size=(32, 32)):
    out = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(out, "PNG")
    return out.getvalue()


def pack(path, members, **options):
    """Write members: (name or TarInfo, bytes)."""
    with tarfile.open(path, "w", **options) as tar:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def find(*paths, **options):
    return list(discover(paths, Reading(), **options))


def sources(found):
    return [thing for thing in found if isinstance(thing, Source)]


def unfit(found):
    return {thing.image: thing.reason for thing in found if isinstance(thing, Unfit)}


def skipped(found):
    return dict(Counter(thing.reason for thing in found if isinstance(thing, Skipped)))


def colour(source):
    pixel = open_source(source, Reading()).pixels.getpixel((5, 5))
    return next(name for name, rgb in COLOURS.items() if rgb == pixel)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_dots_in_folders_and_names_do_not_merge_members(tmp_path, form):
    wanted = {
        "v1.2/a.jpg": "red",
        "v1.2/b.jpg": "blue",
        "S2A_20240601.tile.3.png": "lime",
        "S2A_20240601.tile.4.png": "tan",
        "d" * 90 + "/" + "n" * 95 + ".png": "red",
    }
    members = []
    for name, shade in wanted.items():
        members.append((name, png(shade)))
        members.append((name[:-4] + ".txt", b"a companion"))
    found = find(pack(tmp_path / "x.tar", members, format=form))
    assert {source.image: colour(source) for source in sources(found)} == wanted
    assert skipped(found) == {"companion file": 5}
    assert not unfit(found)


def test_a_member_is_found_again_by_offset_and_size_alone(tmp_path):
    path = pack(tmp_path / "x.tar", [("./a.png", png("red")), ("d/b.png", png("blue"))])
    status = os.stat(path)
    for source in sources(find(path)):
        offset, size = source.member
        assert path.read_bytes()[offset : offset + size] == png(
            "red" if source.image == "a.png" else "blue"
        )
        assert (source.path, source.size, source.mtime_ns) == (str(path), size, status.st_mtime_ns)
    assert [source.image for source in sources(find(path))] == ["a.png", "d/b.png"]
    assert os.listdir(tmp_path) == ["x.tar"]


def test_hostile_members_are_named_and_never_followed(tmp_path):
    link, hard, device, pipe = (tarfile.TarInfo(f"{n}.png") for n in ("l", "h", "d", "p"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "ok.png"
    device.type, pipe.type = tarfile.CHRTYPE, tarfile.FIFOTYPE
    folder = tarfile.TarInfo("x.png")
    folder.type = tarfile.DIRTYPE
    members = [
        *[(info, b"") for info in (link, hard, device, pipe, folder)],
        ("ok.png", png("red")),
        ("../up.png", png("red")),
        ("/etc/abs.png", png("red")),
        ("a/../../b.png", png("red")),
        ("C:\\c.png", png("red")),
        ("caf\udce9.png", png("red")),
        ("._ok.png", b"x"),
        ("__MACOSX/ok.png", b"x"),
    ]
    found = find(pack(tmp_path / "x.tar", members, format=tarfile.GNU_FORMAT))
    assert [source.image for source in sources(found)] == ["ok.png"]
    assert unfit(found) == {
        "#x2E#x2E/up.png": "bad_name",
        "#x2Fetc/abs.png": "bad_name",
        "a/#x2E#x2E/#x2E#x2E/b.png": "bad_name",
        "C:#x5Cc.png": "bad_name",
        "caf#xE9.png": "bad_name",
    }
    assert skipped(found) == {"link in a tar": 2, "not a file": 2, "hidden": 2}


def test_a_tar_cut_anywhere_gives_what_is_whole_and_says_that_it_is_cut(tmp_path):
    whole = pack(tmp_path / "w.tar", [(f"{n}.png", png("red")) for n in range(3)]).read_bytes()
    ends = [source.member[0] + source.member[1] for source in sources(find(tmp_path / "w.tar"))]
    cut = tmp_path / "c.tar"
    data_ends = -(-ends[-1] // 512) * 512
    for size in range(600, data_ends + 1, 97):
        cut.write_bytes(whole[:size])
        found = find(cut)
        assert len(sources(found)) == sum(end <= size for end in ends), size
        assert unfit(found)["c.tar"] == "truncated", size
        assert set(unfit(found)) <= {"c.tar", "0.png", "1.png", "2.png"}


def test_a_tar_damaged_in_the_middle_does_not_end_in_silence(tmp_path):
    path = pack(tmp_path / "x.tar", [(f"{n}.png", png("red")) for n in range(3)])
    data = bytearray(path.read_bytes())
    second = sources(find(path))[1].member[0] - 512
    data[second : second + 8] = b"garbage!"
    path.write_bytes(data)
    found = find(path)
    assert [source.image for source in sources(found)] == ["0.png"]
    assert unfit(found) == {"x.tar": "damaged"}


def test_tars_joined_with_cat_are_not_read_by_half_in_silence(tmp_path):
    one = pack(tmp_path / "1.tar", [("a.png", png("red"))]).read_bytes()
    two = pack(tmp_path / "2.tar", [("b.png", png("red"))]).read_bytes()
    (tmp_path / "x.tar").write_bytes(one + two)
    found = find(tmp_path / "x.tar")
    assert [source.image for source in sources(found)] == ["a.png"]
    assert unfit(found) == {"x.tar": "damaged"}


def test_sizes_that_lie_neither_loop_nor_fill_the_memory(tmp_path):
    for size in (-1, -512, -100_000, 1 << 62):
        info = tarfile.TarInfo("a.png")
        path = pack(tmp_path / "x.tar", [("ok.png", png("red")), (info, b"")])
        data = bytearray(path.read_bytes())
        at = data.index(b"a.png")
        info.size = size
        info.pax_headers = {}
        data[at : at + 512] = info.tobuf(tarfile.GNU_FORMAT)[:512]
        path.write_bytes(data)
        found = find(path)
        assert [source.image for source in sources(found)] == ["ok.png"], size
        assert unfit(found)["x.tar"] in ("damaged", "truncated"), size


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 5 << 30
    path = tmp_path / "x.tar"
    path.write_bytes(
        pack(tmp_path / "y.tar", [("ok.png", png("red"))]).read_bytes()[:1024]
        + info.tobuf(tarfile.GNU_FORMAT)
    )
    os.truncate(path, 6 << 30)  # sparse: it takes no room
    found = find(path)
    assert [source.image for source in sources(found)] == ["ok.png"]
    assert unfit(found) == {"x.tar": "damaged"}


def test_what_is_no_tar_is_refused_in_one_line(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(b"PAR1" + b"x" * 5000)
    with pytest.raises(UsageError, match="not a tar"):
        find(path)
    path.write_bytes(b"")
    assert unfit(find(path)) == {"x.tar": "empty"}


def test_an_empty_tar_is_no_error(tmp_path):
    assert find(pack(tmp_path / "x.tar", [])) == []


def test_braces_read_several_tars_and_equal_members_are_a_conflict(tmp_path):
    for number in range(4):
        pack(tmp_path / f"{number:03}.tar", [(f"{number}.png", png("red"))])
    pattern = str(tmp_path / "{000..003}.tar")
    assert [source.image for source in sources(find(pattern))] == [f"{n}.png" for n in range(4)]
    pack(tmp_path / "003.tar", [("0.png", png("red"))])
    with pytest.raises(ConflictError, match=r"0\.png"):
        find(pattern)
    with pytest.raises(ConflictError) as caught:
        find(tmp_path / "000.tar", tmp_path / "003.tar")
    assert "000.tar" in str(caught.value)
    assert "003.tar" in str(caught.value)


def test_a_member_twice_in_one_tar_is_a_conflict(tmp_path):
    path = pack(tmp_path / "x.tar", [("a.png", png("red")), ("a.png", png("blue"))])
    with pytest.raises(ConflictError, match="twice"):
        find(path)


def test_a_tar_that_shrank_after_it_was_listed_is_unreadable(tmp_path):
    path = pack(tmp_path / "x.tar", [("a.png", png("red"))])
    (source,) = sources(find(path))
    os.truncate(path, source.member[0] + 10)
    with pytest.raises(Unreadable) as caught:
        open_source(source, Reading())
    assert caught.value.reason == "truncated"


def test_a_wide_tiff_inside_a_tar_is_refused_rather_than_shown_black(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    import numpy as np

    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=3, height=32, width=32, dtype="uint16",
        crs="EPSG:4326", transform=rasterio.Affine(1, 0, 9, 0, -1, 9), photometric="RGB",
        interleave="pixel",
    ) as file:  # fmt: skip
        file.write(np.full((3, 32, 32), 900, "uint16"))
    data = (tmp_path / "a.tif").read_bytes()
    (source,) = sources(find(pack(tmp_path / "x.tar", [("a.tif", data)])))
    with pytest.raises(Unreadable, match="unpack it"):
        open_source(source, Reading())
