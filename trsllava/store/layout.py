"""The on-disk format of a store, as values.

::

    store.json                           Root: the format's version; made once
    lock                                 held by the one writer (see `files.lock`)
    log/00000001.json                    Commit: what one import, update, removal or
                                         compaction did; the store is their sum
    records/<set>/<name>.jsonl           segment: a header line, then one canonical JSON
                                         record a line, sorted by image id
    records/<set>/<name>.offsets.json    its sidecar: the ids and where their lines begin
    bad-lines/<number>.jsonl             journal lines: what a commit could not read, and why
    journal/<key>.journal                an import that is not finished
    vectors/<embedder>/<name>.npy        float16 (texts, dimension): the texts of one segment,
                                         record by record, in the order of `Record.texts`
    vectors/<embedder>/<name>.json       their manifest
    index/<name>/                        one generation (see `trsllava.index.generation`)
    index/current                        the name of the generation that answers
    index/lock                           held by the one who builds

``<name>`` is the first 32 hex digits of the segment's sha256; ``<set>`` is a
record set: the fingerprint of a captioner, or ``imported`` for records that
were given; ``<embedder>`` is the embedder's fingerprint. Intakes, lots and
leases of the captioning job will stand beside these.

Small JSON files are sealed: they carry the sha256 of their own content
(`files.seal`). Each commit names the sha256 of the segments that it adds and
of the commit before it. Published files never change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

VERSION = 1
SEGMENT_RECORDS = 4096
IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A published segment, as its commit names it."""

    set: str
    sha256: str
    offsets_sha256: str
    records: int
    thin: int
    first: str
    last: str

    @property
    def name(self) -> str:
        """Return the name that its files share."""
        return self.sha256[:32]


@dataclass(frozen=True, slots=True)
class Commit:
    """What one writer did at one time.

    ``gone`` are the ids whose earlier record no longer counts (removed, or
    replaced by one in ``segments``), ``gone_thin`` how many of these were thin.
    ``images`` are folders of pictures, ``quarantined`` gives images without a
    record their reason (an empty one takes the image out), ``bad_lines`` counts
    lines set aside and ``bad_files`` names the files that keep them, with sha256.
    A compaction lists every segment that is left and stands for all before it.
    """

    number: int
    kind: str
    previous: str | None
    segments: tuple[SegmentRef, ...] = ()
    gone: tuple[str, ...] = ()
    gone_thin: int = 0
    images: tuple[str, ...] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)
    bad_lines: int = 0
    bad_files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the body of the commit's file."""
        return {"format": "trsllava-commit", "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        values = {key: body[key] for key in cls.__slots__ if key in body}
        values["segments"] = tuple(SegmentRef(**ref) for ref in body["segments"])
        values["gone"] = tuple(body["gone"])
        values["images"] = tuple(body["images"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in the store at ``root``."""

    root: Path

    @property
    def marker(self) -> Path:
        """The file that makes a folder a store."""
        return self.root / "store.json"

    @property
    def lock(self) -> Path:
        """The writers' lock."""
        return self.root / "lock"

    @property
    def log(self) -> Path:
        """The folder of commits."""
        return self.root / "log"

    @property
    def records(self) -> Path:
        """The folder of record sets."""
        return self.root / "records"

    @property
    def journals(self) -> Path:
        """The folder of unfinished imports."""
        return self.root / "journal"

    @property
    def vectors(self) -> Path:
        """The folder of text vectors, one folder an embedder."""
        return self.root / "vectors"

    @property
    def index(self) -> Path:
        """The folder of index generations."""
        return self.root / "index"

    def commit(self, number: int) -> Path:
        """Return the file of one commit."""
        return self.log / f"{number:08d}.json"

    @property
    def bad_lines(self) -> Path:
        """The folder of the lines that imports could not read."""
        return self.root / "bad-lines"

    def segment(self, ref: SegmentRef) -> Path:
        """Return a segment's file."""
        return self.records / ref.set / f"{ref.name}.jsonl"

    def offsets(self, ref: SegmentRef) -> Path:
        """Return the sidecar of a segment."""
        return self.records / ref.set / f"{ref.name}.offsets.json"

    def segment_vectors(self, embedder: str, ref: SegmentRef) -> Path:
        """Return the file of a segment's text vectors."""
        return self.vectors / embedder / f"{ref.name}.npy"
