"""The captioning job in one process: every image gets its record or a reason."""

import os
import shutil

import pytest
from jobs_kit import (
    Colours,
    balance,
    caption,
    paint,
    paint_archive,
    published,
    sentence,
    variants,
)
from stub import record_line, write_lines

from trsllava.captioning import Captioned, CaptionerUnavailable
from trsllava.errors import ConflictError
from trsllava.images.source import Reading
from trsllava.jobs.run import Limits
from trsllava.jobs.worker import Suspicious
from trsllava.store.importing import import_files
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store, open_store
from trsllava.upkeep.prune import prune
from trsllava.upkeep.status import status_of
from trsllava.upkeep.verify import verify


@pytest.fixture
def archive(tmp_path):
    return paint_archive(tmp_path / "in", 12)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def test_every_image_gets_the_record_of_its_own_picture(archive, root):
    caption(root, archive, Colours())
    view = open_store(root).view()
    assert balance(view) == (12, 12, 0, 0)
    assert [sentence(view, f"{n:04d}.png") for n in (0, 2, 4)] == [
        "A red field.",
        "A blue field.",
        "A white field.",
    ]
    assert {record.model for record in view} == {"colours-1"}


def test_a_rerun_asks_nothing_and_changes_nothing(archive, root):
    caption(root, archive, Colours())
    before = published(root)
    again = Colours()
    taken, tally = caption(root, archive, again)
    assert (again.asked, tally.images, taken.known) == ([], 0, 12)
    assert published(root) == before


def test_new_images_are_captioned_alone(archive, root):
    caption(root, archive, Colours())
    paint(archive / "sub" / "new.png", "green")
    again = Colours()
    caption(root, archive, again)
    assert again.asked == ["sub/new.png"]
    assert balance(open_store(root).view()) == (13, 13, 0, 0)


def test_a_broken_picture_is_quarantined_and_its_neighbours_are_captioned(archive, root):
    (archive / "t.jpg").write_bytes((archive / "0000.png").read_bytes()[:60])
    caption(root, archive, Colours())
    view = open_store(root).view()
    assert balance(view) == (13, 12, 1, 0)
    status = status_of(open_store(root))
    assert [entry["image"] for entry in status["quarantine"]] == ["t.jpg"]
    assert "t.jpg" in status["quarantine"][0]["detail"]
    assert status["images"] == 13


def test_what_a_captioner_refuses_is_quarantined_with_its_reason_and_retried_on_demand(
    archive, root
):
    caption(root, archive, Colours(refuse=["0003.png", "0005.png"]))
    assert open_store(root).view().quarantined == {"0003.png": "refused", "0005.png": "refused"}
    again = Colours()
    caption(root, archive, again)
    assert again.asked == []
    again = Colours(refuse=["0005.png"])
    taken, _ = caption(root, archive, again, retry_failed=True)
    assert (sorted(again.asked), taken.retried) == (["0003.png", "0005.png"], 2)
    view = open_store(root).view()
    assert view.quarantined == {"0005.png": "refused"}
    assert balance(view) == (12, 11, 1, 0)
    assert verify(open_store(root)).damaged == ()


def test_a_captioner_that_is_away_leaves_images_pending_and_the_rerun_asks_the_rest(archive, root):
    first = Colours(away_after=5)
    with pytest.raises(CaptionerUnavailable):
        caption(root, archive, first)
    assert balance(open_store(root).view()) == (12, 0, 0, 12)
    again = Colours()
    caption(root, archive, again)
    assert sorted(first.asked + again.asked) == sorted(f"{n:04d}.png" for n in range(12))
    assert balance(open_store(root).view()) == (12, 12, 0, 0)


def test_a_stopped_job_gives_the_same_store_as_an_undisturbed_one(archive, root, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        caption(root, archive, Colours(dies_at="0007.png"))
    caption(root, archive, Colours())
    caption(tmp_path / "other", archive, Colours())
    assert published(root) == published(tmp_path / "other")


def test_the_same_bytes_are_captioned_once_and_every_name_gets_a_record(archive, root):
    shutil.copy(archive / "0000.png", archive / "copy.png")
    captioner = Colours()
    caption(root, archive, captioner)
    assert len(captioner.asked) == 12
    assert balance(open_store(root).view()) == (13, 13, 0, 0)
    shutil.copy(archive / "0002.png", archive / "later.png")
    later = Colours()
    caption(root, archive, later)
    assert later.asked == []
    assert sentence(open_store(root).view(), "later.png") == "A blue field."


def test_a_changed_picture_is_a_conflict_until_update(archive, root):
    caption(root, archive, Colours())
    paint(archive / "0000.png", "blue", size=(80, 80))
    again = Colours()
    taken, _ = caption(root, archive, again)
    assert (again.asked, taken.changed) == ([], ["0000.png"])
    assert sentence(open_store(root).view(), "0000.png") == "A red field."
    taken, _ = caption(root, archive, again, update=True)
    assert (again.asked, taken.updated, taken.changed) == (["0000.png"], 1, [])
    view = open_store(root).view()
    assert sentence(view, "0000.png") == "A blue field."
    assert balance(view) == (12, 12, 0, 0)


def test_a_touched_picture_with_the_same_bytes_is_no_conflict(archive, root):
    caption(root, archive, Colours())
    os.utime(archive / "0000.png", (1, 1))
    taken, _ = caption(root, archive, Colours(), update=True)
    assert (taken.changed, taken.updated, taken.known) == ([], 0, 12)


def test_a_picture_that_is_gone_is_told_and_its_record_stays(archive, root):
    caption(root, archive, Colours())
    (archive / "0004.png").unlink()
    taken, _ = caption(root, archive, Colours())
    assert taken.lost == ["0004.png"]
    assert balance(open_store(root).view()) == (12, 12, 0, 0)
    remove_images(open_store(root), ["0004.png"])
    assert balance(open_store(root).view()) == (11, 11, 0, 0)
    taken, _ = caption(root, archive, Colours())
    assert taken.lost == []


def test_a_removed_record_is_captioned_again(archive, root):
    caption(root, archive, Colours())
    remove_images(open_store(root), ["0001.png"])
    again = Colours()
    caption(root, archive, again)
    assert again.asked == ["0001.png"]
    assert balance(open_store(root).view()) == (12, 12, 0, 0)


def test_a_pending_image_that_is_removed_is_not_captioned(archive, root):
    with pytest.raises(CaptionerUnavailable):
        caption(root, archive, Colours(away_after=0))
    remove_images(open_store(root), ["0001.png"])
    assert balance(open_store(root).view()) == (11, 0, 0, 11)


def test_other_settings_make_another_record_set_beside_the_first(archive, root):
    caption(root, archive, Colours(version=1))
    first = open_store(root).view().set
    caption(root, archive, Colours(version=2, refuse=["0001.png"]))
    store = open_store(root)
    view = store.view()
    assert view.set != first
    assert balance(view) == (12, 11, 1, 0)
    assert balance(store.view(first[:6])) == (12, 12, 0, 0)
    sets = {entry["name"]: entry for entry in status_of(store)["record_sets"]}
    assert (sets[first]["current"], sets[view.set]["current"]) == (False, True)
    assert sets[first]["identity"]["captioner"]["version"] == 1
    again = Colours(version=1)
    caption(root, archive, again)
    assert (again.asked, open_store(root).view().set) == ([], first)


def test_a_given_record_is_never_overwritten_and_overlays_every_set(archive, root, tmp_path):
    given = [write_lines(tmp_path / "given.jsonl", [record_line("0000.png")])]
    caption(root, archive, Colours(version=1))
    assert import_files(open_store(root), given).added == 1
    caption(root, archive, Colours(version=2))
    for view in map(open_store(root).view, open_store(root).view().sets):
        assert view.segments[view.find("0000.png").segment].set == "imported"
    assert balance(open_store(root).view()) == (12, 12, 0, 0)
    other = tmp_path / "other"
    import_files(create_store(other), given)
    captioner = Colours()
    caption(other, archive, captioner)
    assert "0000.png" not in captioner.asked
    assert balance(open_store(other).view()) == (12, 12, 0, 0)


def test_compaction_keeps_every_set_and_drops_what_is_gone(archive, root):
    caption(root, archive, Colours(version=1, refuse=["0003.png"]))
    caption(root, archive, Colours(version=2))
    first, second = (name for name in open_store(root).view().sets if name != "imported")
    paint(archive / "0000.png", "blue", size=(80, 80))
    caption(root, archive, Colours(version=2), update=True)
    remove_images(open_store(root), ["0005.png"])
    store = open_store(root)
    before = {name: (balance(store.view(name)), list(store.view(name))) for name in (first, second)}
    compact(store)
    prune(store)
    after = {name: (balance(store.view(name)), list(store.view(name))) for name in (first, second)}
    assert after == before
    assert verify(store).damaged == ()
    assert verify(store).notes == ()
    assert all(b"0005.png" not in p.read_bytes() for p in (root / "records").rglob("*.jsonl"))
    again = Colours(version=2)
    caption(root, archive, again)
    assert again.asked == ["0005.png"]


def test_limit_and_cost_end_a_run_early_and_the_next_goes_on(archive, root):
    captioner = Colours()
    caption(root, archive, captioner, limits=Limits(images=5))
    assert len(captioner.asked) == 5
    assert balance(open_store(root).view()) == (12, 0, 0, 12)
    caption(root, archive, captioner, limits=Limits(cost=0.0007, price=(1.0, 1.0)))
    assert 6 <= len(captioner.asked) < 12
    caption(root, archive, captioner)
    assert len(captioner.asked) == len(set(captioner.asked)) == 12
    assert balance(open_store(root).view()) == (12, 12, 0, 0)


def test_shards_divide_the_lots_and_only_the_first_lists_the_archive(tmp_path, root, monkeypatch):
    monkeypatch.setattr("trsllava.store.lots.LOT_IMAGES", 4)
    archive = paint_archive(tmp_path / "in", 40)
    shards = [Colours() for _ in range(3)]
    for number, captioner in enumerate(shards, start=1):
        caption(root, archive, captioner, shard=(number, 3))
        paint(archive / f"late{number}.png")
    asked = [image for captioner in shards for image in captioner.asked]
    assert sorted(asked) == sorted(f"{n:04d}.png" for n in range(40))
    assert all(captioner.asked for captioner in shards)
    assert balance(open_store(root).view()) == (40, 40, 0, 0)


def test_the_same_id_from_two_paths_is_a_conflict_that_names_both(tmp_path, root):
    for folder in ("a", "b"):
        paint(tmp_path / folder / "x.png")
    with pytest.raises(ConflictError, match=r"x\.png") as raised:
        caption(root, [tmp_path / "a", tmp_path / "b"], Colours())
    assert "--prefix" in str(raised.value)
    assert balance(open_store(root).view()) == (0, 0, 0, 0)
    caption(root, tmp_path / "a", Colours())
    caption(root, tmp_path / "b", Colours(), prefix="b")
    assert balance(open_store(root).view()) == (2, 2, 0, 0)


def test_another_reading_is_another_record_set(archive, root):
    caption(root, archive, Colours())
    caption(root, archive, Colours(), reading=Reading(side=512))
    assert len(open_store(root).view().sets) == 3


class Blind(Colours):
    def caption(self, images):
        for outcome in super().caption(images):
            yield Captioned(outcome.image, variants("red"))


def test_answers_that_do_not_differ_stop_a_strict_run(archive, root):
    with pytest.raises(Suspicious):
        caption(root, archive, Blind(), strict=True)
    assert balance(open_store(root).view()) == (12, 0, 0, 12)
    again = Colours()
    caption(root, archive, again)
    assert len(again.asked) == 12


def test_the_captioner_that_ships_is_not_taken_for_one_that_sees_nothing(archive, root, caplog):
    caption(root, archive, Blind(), called="builtin", strict=True)
    assert balance(open_store(root).view()) == (12, 12, 0, 0)
    assert "WARNING" not in caplog.text


def test_an_archive_that_moved_is_known_and_its_pending_images_are_found_again(
    archive, root, tmp_path
):
    caption(root, archive, Colours(), limits=Limits(images=0))
    archive.rename(tmp_path / "moved")
    captioner = Colours()
    taken, _ = caption(root, tmp_path / "moved", captioner)
    assert (taken.new, taken.known, len(captioner.asked)) == (0, 12, 12)
    view = open_store(root).view()
    assert balance(view) == (12, 12, 0, 0)
    source = Pictures(view).source("0003.png")
    assert source is not None
    assert source.path == str(tmp_path / "moved" / "0003.png")
    (tmp_path / "moved" / "0003.png").unlink()
    assert Pictures(view).source("0003.png") is None


def test_a_renamed_picture_keeps_its_text_when_another_took_its_name(archive, root, monkeypatch):
    monkeypatch.setattr("trsllava.store.lots.LOT_IMAGES", 1)
    caption(root, archive, Colours())
    (archive / "0000.png").rename(archive / "z.png")
    paint(archive / "0000.png", "blue", size=(80, 80))
    caption(root, archive, Colours(), update=True, limits=Limits(images=0))
    caption(root, archive, Colours(), limits=Limits(images=1))
    assert sentence(open_store(root).view(), "0000.png") == "A blue field."
    caption(root, archive, Colours())
    view = open_store(root).view()
    assert sentence(view, "z.png") == "A red field."
    assert balance(view) == (13, 13, 0, 0)
