"""A small archive's vectors are held as float32 once a process asks again, and nothing changes."""

import numpy as np

from trsllava.index import dense
from trsllava.index.dense import TextVectors


def vectors(images=40, texts=3):
    random = np.random.default_rng(0)
    file = random.standard_normal((images * texts, 8)).astype(np.float16)
    file /= np.linalg.norm(file, axis=1, keepdims=True)
    rows = np.arange(images)
    found = TextVectors([file], np.zeros(images, np.int64), rows * texts, np.full(images, texts))
    return found, rows, file[:1].astype(np.float32)


def kinds(found):
    return {file.dtype.name for file in found._files}


def test_the_second_query_holds_the_vectors_and_scores_stay_as_they_were():
    found, rows, query = vectors()
    first = found.scores(query, rows)
    assert kinds(found) == {"float16"}
    assert (found.scores(query, rows) == first).all()
    assert kinds(found) == {"float32"}
    assert (found.scores(query, rows) == first).all()
    some = rows[3::4]
    assert (found.scores(query, some) == first[:, some]).all()
    assert (found.of(5) == vectors()[0].of(5)).all()
    assert (found.first_twins(rows) == rows).all()


def test_many_queries_at_once_and_large_archives_are_not_held(monkeypatch):
    found, rows, query = vectors()
    for _ in range(3):
        found.scores(np.repeat(query, 2, axis=0), rows)
    assert kinds(found) == {"float16"}
    monkeypatch.setattr(dense, "_HELD", 119)
    for _ in range(3):
        found.scores(query, rows)
    assert kinds(found) == {"float16"}
