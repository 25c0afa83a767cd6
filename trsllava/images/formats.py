"""Which files are pictures, told by their names, and which kinds of files an archive may be.

Suffixes count without case. What a file holds decides later how it is read: a PNG named ``.jpg``
is a PNG.
"""

import os


def _suffixes(names: str) -> frozenset[str]:
    return frozenset("." + name for name in names.split())


PICTURES = _suffixes("avif bmp gif jfif jpe jpeg jpg pbm pgm png pnm ppm webp")
RASTERS = _suffixes("jp2 tif tiff")
LISTS = _suffixes("lst txt")
STAC = _suffixes("geojson json")
TAR = ".tar"
COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")

# What Pillow may be asked to read; no format that runs a program or names other files.
PILLOW_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")

_COMPANIONS = _suffixes(
    "aux bpw cls csv db gfw hdr imd ini j2w jgw json jpw md msk ovr pgw prj rpb tfw tifw txt wld "
    "xml yaml"
)
_NOT_READ = _suffixes(
    "arw cr2 cr3 dng ecw eps hdf heic heif img jxl nc nef nitf ntf pdf psd sid svg vrt"
)
_SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})


def suffix(name: str) -> str:
    """Return the suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is one that systems keep for themselves."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def passed_over(name: str) -> str | None:
    """Return why a file among others is no image to caption; None if it is one."""
    if is_hidden(name):
        return "hidden"
    ending = suffix(name)
    if ending in PICTURES or ending in RASTERS:
        return None
    if ending in _COMPANIONS:
        return "companion file"
    if ending == TAR or name.lower().endswith(COMPRESSED_TARS):
        return "tar in a folder (give it as a PATH of its own)"
    return "picture format that is not read" if ending in _NOT_READ else "no image"


def looked_for() -> str:
    """Return what counts as an image or an archive, for people who got nothing."""

    def joined(*suffixes: str) -> str:
        return " ".join(sorted(suffixes))

    return (
        f"pictures ({joined(*PICTURES)}) and rasters ({joined(*RASTERS)}) in folders, patterns, "
        f"lists ({joined(*LISTS)}) and tars ({TAR}); STAC files ({joined(*STAC)})"
    )


__all__ = [
    "COMPRESSED_TARS",
    "LISTS",
    "PICTURES",
    "PILLOW_FORMATS",
    "RASTERS",
    "STAC",
    "TAR",
    "is_hidden",
    "looked_for",
    "passed_over",
    "suffix",
]
