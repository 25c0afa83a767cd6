"""Absences and numbers in a query, taken apart by simple rules, on the hard queries.

    python benchmarks/negation.py [RECORDS] [--half choose|report]

RECORDS are ../shared/data/rsicd/rsrt_val.jsonl if nothing is given, indexed anew. Absence: "a pond
without houses" is split into what is wanted and what must not be there; the score is that of the
wanted, or of the whole query, less a weight times how surely the unwanted is there (as for
--not). Count: number words and digits are made one in BM25's texts and queries, and an image
gains where the query's number stands with the query's noun in one of its texts, or by the share
of its texts. Printed: how each query was read; then a line a variant with nDCG@10 in percent kind
by kind, and its gain over the default with a 95 % interval over queries. ``report`` measures the
chosen variants alone; the rules were written with the queries of ``choose`` in sight.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from common import report
from hard_queries import RECORDS, score, searcher_of

from trsllava.evaluation.bootstrap import intervals
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.gain import ndcg
from trsllava.evaluation.judgements import Judgements
from trsllava.evaluation.measures import places
from trsllava.evaluation.result import MEASURES
from trsllava.index.scoring import Parts
from trsllava.index.words import Words, tokenize
from trsllava.resources import find

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
BONUSES = (0.0, 0.25, 0.5, 1.0, 2.0)
CHOSEN = ("absence: wanted - 1 there", "count: + 0.5 x share of texts")  # on half "choose"

ABSENCE = re.compile(
    r"(?:,|\s)*\b(?:and |but )?(?:with |where |(?:that |which )?(?:has |have )|there (?:is|are) )?"
    r"\b(?P<no>no(?! matter)|not(?! far| only)|without(?: any)?|hardly any|almost nothing|lacking|"
    r"instead of|rather than|(?:free|empty|devoid) of)\s+(?:(?:a single|an?|any|the)\s+)?"
    r"(?P<what>(?:(?!\s+but\b|,|;).|,(?=\s*\w+ (?:or|and|nor)\b))+)",
    re.IGNORECASE,
)
TAIL = re.compile(r"\s+(?:(?:inside|in|on|around|near) it|anywhere|at all|in sight)$")
EMPTY = re.compile(r"\bempty (?P<place>[a-z ]+)", re.IGNORECASE)
INHABITANTS = {
    "car park|parking|street|road|motorway": "cars",
    "harbour|harbor|marina|pier|dock": "boats",
    "airport|apron|runway|gate|terminal": "aircraft",
    "pool|canal|reservoir": "water",
}

NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
NUMBERS = (NUMBERS + " fifteen sixteen seventeen eighteen nineteen twenty").split()
SAID = {"half a dozen": 6, "a dozen": 12, "a pair of": 2, "a couple of": 2, "twin": 2, "both": 2}
SAID |= {word: number for number, word in enumerate(NUMBERS)} | {"single": 1, "lone": 1, "sole": 1}
NUMBER = re.compile(r"\b(?:" + "|".join(sorted(SAID, key=len, reverse=True)) + r")\b")
ENDS = set("and or of by in on at with to from near beside next for that which than is are".split())


def split(query):
    """Return what a query wants, and what it says must not be there."""
    wanted, unwanted = query, []
    while found := ABSENCE.search(wanted):
        before, after = wanted[: found.start()], wanted[found.end() :]
        what = TAIL.sub("", found["what"].strip(" ."))
        if found["no"].lower() == "not":  # "a track that is not red": a red track
            head = re.split(r" (?:that|which|whose|with|of|in)\b|,", before)[0]
            what = f"{what} {re.sub(r'^(?:an?|the) ', '', head)}"
        unwanted.append(what)
        wanted = before + re.sub(r"^\s*but\b", "", after)
    empty = EMPTY.search(wanted)
    for where, what in INHABITANTS.items():
        if empty and re.search(where, empty["place"]):
            unwanted.append(what)
    wanted = wanted.strip(" ,.")
    unwanted = [what for what in unwanted if tokenize(what)]
    return (wanted, unwanted) if tokenize(wanted) else (query, [])  # "no grass." wants nothing


def normalised(text):
    """Return a text with its numbers as digits."""
    return NUMBER.sub(lambda found: str(SAID[found.group()]), text.casefold())


def counted(text):
    """Return the pairs of a number and the noun that it counts, as far as simple rules tell."""
    words = re.findall(r"\w+|[^\w\s]", normalised(text))
    pairs = set()
    for at, word in enumerate(words):
        if not word.isdecimal() or (at and words[at - 1] == "than"):
            continue
        run = []
        for following in words[at + 1 : at + 6]:
            ends = not following.isalpha() or following in ENDS
            if ends or (run and following.endswith("ing")):
                break
            run.append(following)
            if int(word) > 1 and re.search(r"[^siu]s$", following):
                break  # the first plural is the noun
        if run:
            pairs.add((int(word), re.sub(r"(?<=[^siu])s$", "", re.sub("ies$", "y", run[-1]))))
    return pairs


def absences(searcher, queries, rows, tell=True):
    """Yield names of variants and scores (queries, images) that heed what must not be there."""
    whole = searcher.score_matrix(queries, rows).astype(np.float64)
    parted = [split(query) for query in queries]
    wanted = searcher.score_matrix([want for want, _ in parted], rows).astype(np.float64)
    there = np.zeros_like(whole)
    for row, (want, unwanted) in enumerate(parted):
        if unwanted:
            present = [searcher._presence(what, "hybrid", rows) for what in unwanted]
            there[row] = np.max(present, axis=0)
            if tell:
                report(query=queries[row], wanted=want, unwanted=unwanted)
    for weight in WEIGHTS:
        yield f"absence: wanted - {weight:g} there", wanted - weight * there
        if weight:
            yield f"absence: whole - {weight:g} there", whole - weight * there
    level = searcher.generation.scale.levels["hybrid"]
    yield "absence: wanted, as --not", level.readable(wanted) * (1 - there)


def counts(searcher, queries, rows):
    """Yield names of variants and scores (queries, images) that heed numbers."""
    records = [[t.text for t in searcher.generation.record(row).texts()] for row in rows]
    words = Words.build(normalised("\n".join(texts)) for texts in records)
    bm25, share = words.matrices([normalised(query) for query in queries])
    dense = searcher.generation.vectors.scores(searcher.embedder.encode_queries(queries), rows)
    parts = Parts(dense, bm25, share, np.zeros_like(dense))
    raw = searcher.generation.scale.raw("hybrid", parts)
    said = [[counted(text) for text in texts] for texts in records]
    agreeing = np.zeros(raw.shape)
    for row, query in enumerate(queries):
        pairs = counted(query)
        if pairs:
            report(query=query, counts=sorted(pairs))
            hits = [[len(pairs & one) / len(pairs) for one in texts] for texts in said]
            agreeing[row] = [np.mean(one) for one in hits]
    for bonus in BONUSES:
        yield f"count: + {bonus:g} if any text agrees", raw + bonus * (agreeing > 0)
        if bonus:
            yield f"count: + {bonus:g} x share of texts", raw + bonus * agreeing


def of_captions(searcher, path):
    """Print what the chosen absence does to RSICD's own captions that the rules take apart."""
    dataset = read_dataset("rsicd", path, "val")
    live = searcher.live.rows()
    order = [searcher.generation.images.index(image) for image in dataset.images]
    rows = [n for n, text in enumerate(dataset.captions) if split(text)[1]]
    texts = [dataset.captions[n] for n in rows]
    judged = Judgements.of(len(rows), len(order), range(len(rows)), dataset.owner[rows])
    variants = dict(absences(searcher, texts, live, tell=False))
    figures = {"the default": searcher.score_matrix(texts, live)}
    figures |= {name: variants[name] for name in CHOSEN if name in variants}
    for name, scores in figures.items():
        found = places(scores[:, order].astype(np.float32), judged)
        t2i = [round(100 * float(m.expected(found).mean()), 2) for m in MEASURES]
        report(variant=name, captions_taken_apart=len(rows), of=len(dataset.captions), t2i=t2i)


def gained(more):
    """Return the mean of differences in percent, and its interval over queries."""
    bounds, _ = intervals({"gain": (more, np.arange(len(more)))}, len(more))
    return [round(100 * float(x), 1) for x in (more.mean(), *bounds["gain"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=RECORDS, metavar="RECORDS")
    parser.add_argument("--half", choices=("choose", "report"), default="choose")
    asked = parser.parse_args()
    if not asked.path.exists():
        print(f"{asked.path} is not there: nothing to measure on", file=sys.stderr)
        return
    lines = find("datasets/hard_queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [query for query in map(json.loads, lines) if query["half"] == asked.half]
    texts = [query["query"] for query in queries]
    kinds = np.array([query["kind"] for query in queries])
    with searcher_of(asked.path) as searcher:
        rows = searcher.live.rows()
        base, judged, _lacking = score(searcher, queries, "hybrid")
        variants = [*absences(searcher, texts, rows), *counts(searcher, texts, rows)]
        captions = asked.path.with_name("dataset_rsicd_trainval.json")
        if captions.exists():
            of_captions(searcher, captions)
    old = ndcg(base, judged)
    for name, scores in [("the default", base[:, : len(rows)]), *variants]:
        if asked.half == "report" and name not in ("the default", *CHOSEN):
            continue
        full = base.copy()
        full[:, : len(rows)] = scores
        new = ndcg(full, judged)
        own = kinds == ("count" if name.startswith("count") else "negation")
        report(
            variant=name,
            half=asked.half,
            ndcg10={
                kind: round(100 * float(new[kinds == kind].mean()), 1)
                for kind in dict.fromkeys(kinds.tolist())
            },
            all=round(100 * float(new.mean()), 1),
            gain_ci95=gained(new - old),
            gain_on_own_kind_ci95=gained((new - old)[own]),
            better=int((new > old + 1e-9).sum()),
            worse=int((new < old - 1e-9).sum()),
        )


if __name__ == "__main__":
    main()
