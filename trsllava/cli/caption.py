"""The caption command: the batch job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trsllava.cli.options import DEFAULT_STORE, StoreOption
from trsllava.cli.show import data, note, resumable

if TYPE_CHECKING:
    from trsllava.jobs.intake import Wish
    from trsllava.jobs.run import Limits


_SMALL = (
    "the builtin captioner is small; a large VLM writes far better records: add --model ID with "
    "--base-url URL (a server) or alone (on this machine)"
)


def caption(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Folders, images, globs, list files (.txt), tars, STAC files, GeoTIFF scenes.",
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="builtin, openai, transformers or a plug-in's; unless given, openai where "
            "there is a --base-url, transformers where there is a --model, else builtin.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="The model: a name, a hub id or a folder.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The server's address, such as http://127.0.0.1:8000/v1."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="NAME", help="A prompt's name or file; rsrt unless given.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(metavar="PX", help="Cut scenes in windows of so many pixels.")
    ] = None,
    overlap: Annotated[
        int, typer.Option(metavar="PX", help="How far neighbouring windows overlap.")
    ] = 0,
    bands: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="The bands for red, green and blue, from 1."),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Places, dates, properties by image: csv, parquet, ..."),
    ] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Work on part I of N only; the others do the rest.")
    ] = "1/1",
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes.")] = 1,
    concurrency: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Requests at a time, or pictures in a batch."),
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="P", help="Put P/ before every image id.")] = "",
    device: Annotated[
        str | None, typer.Option(metavar="D", help="Where a model runs: cpu, cuda, cuda:1, auto.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="T", help="A model's numbers: bfloat16, float16, ...")
    ] = None,
    quantization: Annotated[
        str | None, typer.Option(metavar="Q", help="4bit or 8bit (needs bitsandbytes).")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The longest answer in tokens.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop if answers to different pictures do not differ.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try quarantined images again.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Caption images again whose file has changed.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Show the captioner N images at most.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="X", min=0, help="Stop when the tokens cost X.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="What a million tokens cost, in and out.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count images, tokens and cost; do nothing.")
    ] = False,
) -> None:
    """Write a record for every image: finish the rest by running the same command again."""
    from trsllava.errors import UsageError
    from trsllava.jobs.run import Limits

    costs = None if price is None else _two_numbers(price)
    if max_cost is not None and costs is None:
        raise UsageError("--max-cost needs --price IN,OUT: what a million tokens cost")
    wish = _wish(paths, tile, overlap, bands, prefix, update, retry_failed, metadata)
    if dry_run:
        _print_plan(store, wish, costs, prompt)
        return
    given = {
        "model": model,
        "base_url": base_url,
        "prompt": prompt,
        "concurrency": concurrency,
        "device": device,
        "dtype": dtype,
        "quantization": quantization,
        "max_tokens": max_tokens,
    }
    options = {key: value for key, value in given.items() if value is not None}
    name = captioner or _usual_captioner(model, base_url)
    limits = Limits(limit, max_cost, costs)
    with resumable("trsllava caption"):
        code = caption_archive(store, name, options, wish, _shard(shard), workers, limits, strict)
    if code:
        raise typer.Exit(code)


def _usual_captioner(model: str | None, base_url: str | None) -> str:
    """Return the captioner that is meant where none is named."""
    from trsllava.captioning import BUILTIN

    if base_url is not None:
        return "openai"
    return BUILTIN if model is None else "transformers"


def caption_archive(
    root: Path,
    name: str,
    options: dict[str, Any],
    wish: "Wish",
    shard: tuple[int, int],
    workers: int,
    limits: "Limits",
    strict: bool,
) -> int:
    """Take the archive in, caption what waits, and return the exit code."""
    from trsllava.captioning import BUILTIN, CaptionerUnavailable, load_captioner
    from trsllava.cli.caption_notes import say_end, say_other_set, say_state, say_taken
    from trsllava.errors import InputError
    from trsllava.jobs.intake import take_in
    from trsllava.jobs.job import Job, fingerprint_of, identity_of
    from trsllava.jobs.run import run_job
    from trsllava.store.store import create_store

    captioner = load_captioner(name, **options)
    identity = identity_of(captioner, wish.reading)
    set_name = fingerprint_of(identity)
    opened = create_store(root)
    say_other_set(opened.view(), set_name, identity)
    taken = take_in(opened, set_name, identity, wish, follow=shard[0] > 1)
    say_taken(taken, wish, root)
    view = opened.view(set_name)
    held = view.records + len(view.quarantined) + view.pending
    if not (taken.images if shard[0] == 1 else held):  # further shards do not always look
        raise InputError(f"no images in {', '.join(wish.paths)}; {_looked_for()}")
    if name == BUILTIN and view.pending:
        note(_SMALL)
    job = Job(str(root), set_name, name, options, wish.reading, shard)
    try:
        _, interrupted = run_job(
            job, opened, captioner, workers=workers, limits=limits, strict=strict
        )
    except CaptionerUnavailable as error:
        pending = opened.view(set_name).pending
        raise CaptionerUnavailable(
            f"{error} ({pending} images are pending; run the same command again to go on)"
        ) from error
    except KeyboardInterrupt:
        interrupted = True
    view = opened.view(set_name)
    data(f"{say_state(view)} (record set {set_name} of {root})")
    if interrupted:
        note("interrupted; run the same command again to go on")
        return 130
    return say_end(view, taken, root)


def _wish(
    paths: list[str],
    tile: int | None,
    overlap: int,
    bands: str | None,
    prefix: str,
    update: bool,
    retry_failed: bool,
    metadata: Path | None,
) -> "Wish":
    from trsllava.errors import UsageError
    from trsllava.images.metadata_file import read_metadata
    from trsllava.images.source import Reading
    from trsllava.jobs.intake import Wish

    if overlap and tile is None:
        raise UsageError("--overlap needs --tile")
    reading = Reading(tile=tile, overlap=overlap, bands=None if bands is None else _bands(bands))
    known = None if metadata is None else read_metadata(metadata)
    return Wish(tuple(paths), reading, prefix, update, retry_failed, known)


def _print_plan(
    root: Path, wish: "Wish", price: tuple[float, float] | None, prompt: str | None
) -> None:
    """Print what a run would do."""
    from trsllava.jobs.plan import plan

    for line in plan(root, wish, price, prompt):
        data(line)


def _looked_for() -> str:
    from trsllava.images.formats import looked_for

    return looked_for()


def _bands(text: str) -> tuple[int, int, int]:
    from trsllava.errors import UsageError

    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--bands {text}: three band numbers from 1 expected, such as 3,2,1")
    red, green, blue = map(int, parts)
    return red, green, blue


def _shard(text: str) -> tuple[int, int]:
    from trsllava.errors import UsageError

    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {text}: I/N expected, with I from 1 to N, such as 1/4")
    return int(number), int(of)


def _two_numbers(text: str) -> tuple[float, float]:
    from trsllava.errors import UsageError

    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--price {text}: two numbers expected, such as 0.15,0.60") from error
    return first, second
