"""Find captions of a dataset that look wrong: they agree with nothing around them.

    python pipelines/audit_captions.py --annotations dataset_RSITMD.json --out rsitmd-audit

Each image's captions are held against each other and against those of other images, with --images
also against the picture and what is said of pictures like it; a variant is a caption, counted from
1. The file has the form of RSICD's, RSITMD's or NWPU's; all its splits are audited.
DIR/suspects.json lists the images, worst first, with reasons; DIR/suspects.html shows them. That
people wrote the same of several pictures counts for nothing: of short captions it is as it should
be.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from trsllava.audit.agreement import add_agreements, agreements
from trsllava.audit.gists import Seeing, Vectors
from trsllava.audit.page import write_page
from trsllava.audit.suspicions import Suspicion
from trsllava.embedding import fingerprint, load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.errors import TrsllavaError, UsageError
from trsllava.evaluation.annotations import read_entries
from trsllava.store.files import publish
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store
from trsllava.untrusted import printable


def lines_of(annotations: Path) -> Iterator[str]:
    """Yield the captions of each image as a line that an import reads."""
    entries, _ = read_entries(annotations, "nwpu")  # which reads the other form too
    captions: dict[str, list[str]] = {}
    for entry in entries:
        own = captions.setdefault(entry.filename, [])
        own += [text.strip() for text, _ in entry.captions if text.strip()]
    for image, own in captions.items():
        if own:
            yield json.dumps({"image": image, "variants": [{"caption": text} for text in own]})


def audit(annotations: Path, images: Path | None, out: Path, top: int) -> list[Suspicion]:
    """Write the suspects of an annotation file and return them, worst first."""
    records = out / "captions.jsonl"
    body = "".join(f"{line}\n" for line in lines_of(annotations)).encode()
    if records.exists() and records.read_bytes() != body:
        raise UsageError(f"{out} holds an audit of other captions; give another --out")
    publish(records, body)
    store = create_store(out / "store")
    import_files(store, [records], update=True)
    view = store.view()
    encoder = load_embedder()
    vectors = Vectors(view, fingerprint(encoder), encoder)
    pictures = Pictures(view, () if images is None else (images,))
    if images is not None:
        eye = load_eye()
        seeing = Seeing(eye, pictures)
        vectors = Vectors(view, fingerprint(encoder), encoder, eye.text_mean, seeing)
    found = add_agreements([], agreements(vectors))
    suspects = [{"image": s.image, "score": s.score, "reasons": s.reasons} for s in found]
    publish(out / "suspects.json", json.dumps(suspects, indent=1, ensure_ascii=False).encode())
    write_page(out / "suspects.html", found[:top], pictures, hidden=len(found[top:]))
    return found


def main() -> None:
    """Audit the captions that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE")
    parser.add_argument("--images", type=Path, metavar="DIR", help="look at the pictures, too")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="show so many")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    try:
        found = audit(options.annotations, options.images, options.out, options.top)
    except TrsllavaError as error:
        sys.exit(f"error: {error}")
    for suspicion in found[: options.top]:
        reasons = "; ".join(suspicion.reasons)
        print(f"{suspicion.score:.2f}  {printable(suspicion.image)}: {printable(reasons)}")
    told = "by their captions alone" if options.images is None else "by captions and pictures"
    print(f"{len(found)} images look wrong, told {told}; see {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
