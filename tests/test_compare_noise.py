"""Noise on purpose: what is replaced, at which rates, and what a file is worth."""

import json

import numpy as np
import pytest
from compare_kit import paint

from trsllava.compare.material import open_split
from trsllava.compare.noise import (
    OTHER_CLASS,
    PERMUTED,
    RATES,
    make_noise,
    read_noise,
    write_noise,
)
from trsllava.compare.pairs import CUT, TRUSTED, cut_of, fitting_pairs, in_cut, one_in, trusted
from trsllava.errors import InputError, StoreDamaged
from trsllava.store.files import seal


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_split(paint(tmp_path_factory.mktemp("data")), "train")


@pytest.fixture(scope="module")
def pairs(dataset):
    return fitting_pairs(dataset)


def test_the_cut_and_the_pairs_share_no_picture(dataset, pairs):
    cut = cut_of(dataset)
    learnt = {pairs.images[n] for n in pairs.image}
    assert not learnt & set(cut.images)
    assert learnt | set(cut.images) == set(dataset.images)
    assert 0.5 / CUT < in_cut(dataset).mean() < 2 / CUT
    for caption, owner in zip(cut.captions, cut.owner, strict=True):
        row = dataset.images.index(cut.images[owner])
        assert caption in {dataset.captions[n] for n in np.flatnonzero(dataset.owner == row)}


@pytest.mark.parametrize("rate", RATES[PERMUTED])
def test_permuted_captions_stay_the_same_captions(pairs, rate):
    noise = make_noise(pairs, PERMUTED, rate)
    assert len(noise.rows) == int(len(pairs) * rate)
    assert sorted(noise.rows) == sorted(noise.sources)
    noisy = noise.apply(pairs)
    assert sorted(noisy.text) == sorted(pairs.text)
    assert noise.wrong == pytest.approx(rate, abs=0.03)
    untouched = np.setdiff1d(np.arange(len(pairs)), noise.rows)
    assert (noisy.text[untouched] == pairs.text[untouched]).all()


def test_captions_of_another_class_are_nested_over_the_rates(pairs):
    before: dict[int, int] = {}
    for rate in RATES[OTHER_CLASS]:
        noise = make_noise(pairs, OTHER_CLASS, rate)
        now = dict(zip(noise.rows.tolist(), noise.sources.tolist(), strict=True))
        assert before.items() <= now.items()
        for row, source in now.items():
            own, other = (pairs.classes[pairs.image[n]] for n in (row, source))
            assert own != other
        before = now
    assert len(before) / (~trusted(pairs)).sum() == pytest.approx(0.5, abs=0.1)


def test_trusted_pictures_keep_their_captions_under_other_class_noise_alone(pairs):
    fifth = trusted(pairs)
    names = {pairs.images[n] for n in pairs.image[fifth]}
    assert names
    assert not names & {pairs.images[n] for n in pairs.image[~fifth]}
    for rate in RATES[OTHER_CLASS]:
        noise = make_noise(pairs, OTHER_CLASS, rate)
        assert len(noise.rows)
        assert (noise.apply(pairs).text[fifth] == pairs.text[fifth]).all()
    # RRSITR's protocol knows nothing of them.
    assert fifth[make_noise(pairs, PERMUTED, 0.8).rows].any()


def test_names_are_drawn_by_their_digest_alone():
    names = [f"airport_{n}.jpg" for n in range(2000)]
    by_part = [one_in(TRUSTED, names, part) for part in range(3)]
    for drawn in by_part:
        assert drawn.mean() == pytest.approx(1 / TRUSTED, abs=0.03)
    # Independent of each other, so that a fifth of the cut's complement is a fifth.
    both = by_part[0] & by_part[1]
    assert both.mean() == pytest.approx(1 / TRUSTED**2, abs=0.015)
    assert (one_in(TRUSTED, names[::-1], 1) == by_part[1][::-1]).all()
    # SHA-256 of "abc" begins ba7816bf 8f01cfea: by 5 they leave 4 and 0.
    assert [one_in(5, ["abc"], part)[0] for part in (0, 1)] == [False, True]


def test_noise_is_the_same_wherever_it_is_made(pairs):
    # Numpy promises that the stream of its old generator never changes.
    noise = make_noise(pairs, PERMUTED, 0.4)
    assert noise.rows[:5].tolist() == make_noise(pairs, PERMUTED, 0.4).rows[:5].tolist()
    assert np.random.RandomState(42).permutation(10).tolist() == [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]
    assert not np.array_equal(noise.rows, make_noise(pairs, PERMUTED, 0.4, seed=1).rows)


def test_a_noise_file_is_what_its_kind_rate_and_seed_give(pairs, tmp_path):
    path = tmp_path / "n.json"
    noise = make_noise(pairs, PERMUTED, 0.4)
    write_noise(path, noise)
    first = path.read_bytes()
    write_noise(path, make_noise(pairs, PERMUTED, 0.4))
    assert path.read_bytes() == first
    assert read_noise(path, pairs).to_json() == noise.to_json()
    assert not any(text in first.decode() for text in pairs.texts)


def test_a_noise_file_that_is_not_so_is_refused(pairs, tmp_path):
    path = tmp_path / "n.json"
    noise = make_noise(pairs, PERMUTED, 0.4)
    write_noise(path, noise)
    path.write_bytes(path.read_bytes().replace(b'"rate":0.4', b'"rate":0.2'))
    with pytest.raises(StoreDamaged, match="digest"):
        read_noise(path, pairs)
    body = noise.to_json()
    body["sources"] = body["sources"][::-1]
    path.write_bytes(seal(body))
    with pytest.raises(InputError, match="is not what permuted noise at 0.4"):
        read_noise(path, pairs)
    write_noise(path, noise)
    with pytest.raises(InputError, match="other pairs"):
        read_noise(path, pairs.with_text(pairs.text[::-1].copy()))
    path.write_bytes(seal({"version": 1}))
    with pytest.raises(InputError, match="no noise file"):
        read_noise(path, pairs)


@pytest.mark.parametrize(
    ("kind", "rate", "message"),
    [("permuted", 0.5, "0.2, 0.4, 0.6, 0.8"), ("gaussian", 0.2, "permuted, other-class")],
)
def test_other_rates_and_kinds_are_refused_by_name(pairs, kind, rate, message):
    with pytest.raises(InputError, match=message):
        make_noise(pairs, kind, rate)


def test_the_script_writes_every_file(tmp_path):
    from trsllava.resources import load_script

    annotations = paint(tmp_path)
    load_script("pipelines/compare/make_noise.py").write_all(annotations, tmp_path / "noise")
    names = {path.name for path in (tmp_path / "noise").iterdir()}
    assert {"permuted-00.json", "permuted-80.json", "other-class-05.json"} <= names
    assert len(names) == sum(map(len, RATES.values()))
    body = json.loads((tmp_path / "noise/permuted-20.json").read_text())
    assert body["kind"] == PERMUTED
