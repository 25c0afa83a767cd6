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
    bad-lines/<number>-<set>.records.jsonl    records of a set that a commit took out of search, in
                                         the form that an import reads
    journal/<key>.journal                an import that is not finished
    intake/<name>.jsonl                  an intake: a header line, then one image a line, as
                                         `trsllava.images` found it, cut in lots
    records/<set>/set.json               what the fingerprint of a record set stands for
    records/<set>/lots/<lot>.json        what became of a finished lot (`lots.LotManifest`)
    leases/<set>/<lot>.<n>.json          who works on a lot; the highest n counts
    journal/<set>/<lot>.<n>-<token>.journal    what that worker has done of it so far
    side/<set>/<lot>.jsonl               what varies between runs: times, tokens, raw replies
    vectors/<embedder>/<name>.npy        float16 (texts, dimension): the texts of one segment,
                                         record by record, in the order of `Record.texts`
    vectors/<embedder>/<name>.json       their manifest
    vectors/<eye>/<name>.<digest>.npy    float16 (records, dimension): the pictures of one
                                         segment, zeros for one that is not at hand; a try with
                                         more of them has another digest (of its content)
    vectors/<eye>/<name>.json            the manifest of the newest try
    index/<name>/                        one generation (see `trsllava.index.generation`)
    index/current-<set>                  the name of the generation that answers for a set
    index/lock                           held by the one who builds

``<name>`` is the first 32 hex digits of the segment's sha256; ``<set>`` is a
record set: the fingerprint of a captioner with its settings, or ``imported`` for
records that were given; ``<embedder>`` is the embedder's fingerprint, ``<eye>`` the light head's.

Small JSON files are sealed: they carry the sha256 of their own content
(`files.seal`). Each commit names the sha256 of the segments and intakes that it
adds and of the commit before it. A finished lot needs no commit: it stands where
its intake stands, so workers never wait for each other. Published files never
change; only a compaction gives a lot whose images are gone a new manifest.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

VERSION = 1
SEGMENT_RECORDS = 4096
IMPORTED = "imported"
RECORDS_KEPT = ".records.jsonl"  # how the name of a file of records ends that an audit set aside


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
class LotRef:
    """A lot: so many images between two bytes of its intake's file, the unit of work."""

    name: str
    images: int
    first: str
    last: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class IntakeRef:
    """The images that a record set took in at one time; ``number`` is that of its commit.

    ``paths`` are what was listed, ``skipped`` counts by reason what is no image there, ``notes``
    is what was said about how its images are read.
    """

    set: str
    number: int
    sha256: str
    images: int
    lots: tuple[LotRef, ...]
    paths: tuple[str, ...]
    skipped: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return self.sha256[:32]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made."""
        lots = tuple(LotRef(**lot) for lot in body["lots"])
        lists = {key: tuple(body[key]) for key in ("paths", "notes")}
        return cls(**{**body, **lists, "lots": lots})


@dataclass(frozen=True, slots=True)
class Commit:
    """What one writer did at one time.

    ``gone`` are the ids of which nothing said before counts any longer (removed,
    replaced by a record in ``segments``, or taken in again). ``intakes`` are images
    to caption, ``current`` is the record set that answers from now on. ``images``
    are folders of pictures, ``quarantined`` gives images without a record their
    reason, ``bad_lines`` counts lines set aside
    and ``bad_files`` names the files that keep them, with sha256. A compaction
    stands for all before it: it lists every segment and intake that is left, and
    in ``tombs`` which commit made an image of these intakes gone.
    """

    number: int
    kind: str
    previous: str | None
    segments: tuple[SegmentRef, ...] = ()
    gone: tuple[str, ...] = ()
    intakes: tuple[IntakeRef, ...] = ()
    current: str | None = None
    tombs: Mapping[str, int] = field(default_factory=dict)
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
        values["intakes"] = tuple(IntakeRef.from_json(ref) for ref in body.get("intakes", ()))
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
        """The folder of unfinished imports, and of unfinished lots, one folder a set."""
        return self.root / "journal"

    @property
    def intakes(self) -> Path:
        """The folder of intakes."""
        return self.root / "intake"

    @property
    def leases(self) -> Path:
        """The folder of leases, one folder a set."""
        return self.root / "leases"

    @property
    def side(self) -> Path:
        """The folder of side logs, one folder a set."""
        return self.root / "side"

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
        """The folder of the lines that imports could not read, and of records set aside."""
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

    def picture_vectors(self, eye: str, ref: SegmentRef, sha256: str) -> Path:
        """Return the file of a segment's picture vectors, given the digest of its content."""
        return self.vectors / eye / f"{ref.name}.{sha256[:16]}.npy"

    def picture_manifest(self, eye: str, ref: SegmentRef) -> Path:
        """Return the manifest of a segment's newest picture vectors."""
        return self.vectors / eye / f"{ref.name}.json"

    def intake(self, ref: IntakeRef) -> Path:
        """Return an intake's file."""
        return self.intakes / f"{ref.name}.jsonl"

    def set_file(self, set_name: str) -> Path:
        """Return the file that says what a set's fingerprint stands for."""
        return self.records / set_name / "set.json"

    def lot(self, set_name: str, lot: str) -> Path:
        """Return the manifest of a finished lot."""
        return self.records / set_name / "lots" / f"{lot}.json"
