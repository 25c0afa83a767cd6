"""What each form of record line says, and what makes a line bad."""

import json
from pathlib import Path

import pytest

from trsllava.errors import ConflictError
from trsllava.interchange import BadLine, Line, Piece, assemble, read
from trsllava.records import BBox, Metadata, Variant

FULL = [
    {"one_sentence": f"a pier {n}", "feature": f"pier, {n} ships", "caption": f"A pier with {n}."}
    for n in range(1, 6)
]
VARIANTS = tuple(Variant(**texts) for texts in FULL)


def lines_of(tmp_path: Path, *lines: object, **options: Path) -> list[Line]:
    path = tmp_path / "records.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(text + "\n" for text in texts))
    return list(read(path, **options))


def piece_of(tmp_path: Path, line: object, **options: Path) -> Piece:
    (read_line,) = lines_of(tmp_path, line, **options)
    assert isinstance(read_line.content, Piece), read_line
    return read_line.content


def bad_line(tmp_path: Path, line: object, **options: Path) -> BadLine:
    (read_line,) = lines_of(tmp_path, line, **options)
    assert isinstance(read_line.content, BadLine), read_line
    return read_line.content


def test_the_official_form_is_a_whole_record(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, {"image": "a.jpg", "model": "m", "variants": FULL})
    assert piece == Piece("a.jpg", VARIANTS, True, "m", Metadata())


def test_forms_may_change_from_line_to_line(tmp_path: Path) -> None:
    lines = lines_of(
        tmp_path,
        {"image": "a.jpg", "variants": FULL},
        {"image": "b.jpg", "caption": "a dock"},
        {"image": "c.jpg", "text": FULL[0]},
    )
    pieces = [line.content for line in lines]
    assert [(p.image, p.whole) for p in pieces if isinstance(p, Piece)] == [
        ("a.jpg", True),
        ("b.jpg", False),
        ("c.jpg", False),
    ]


@pytest.mark.parametrize(
    "line",
    [
        {"image": "a.jpg", "text": FULL[0]},
        {"image": "a.jpg", "variant": 3, **FULL[0]},
        {"image_path": "a.jpg", "variant_id": 1, "text": FULL[0]},
        {
            "filename": "a.jpg",
            "image_id": 7,
            "one_sentence_caption": "a pier 1",
            "feature_analysis": "pier, 1 ships",
            "caption": "A pier with 1.",
        },
    ],
)
def test_a_flat_line_is_one_variant_under_any_of_its_names(tmp_path: Path, line: object) -> None:
    piece = piece_of(tmp_path, line)
    assert (piece.image, piece.variants, piece.whole) == ("a.jpg", VARIANTS[:1], False)


@pytest.mark.parametrize("key", ["caption", "text"])
def test_a_caption_line_is_thin_and_nothing_is_invented(tmp_path: Path, key: str) -> None:
    piece = piece_of(tmp_path, {"image": "a.jpg", key: "a dock"})
    assert piece.variants == (Variant(caption="a dock"),)


def test_an_official_line_with_fewer_variants_or_texts_is_a_thin_record(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, {"image": "a.jpg", "variants": [FULL[0], {"caption": "a dock"}]})
    assert piece.whole
    assert piece.variants == (VARIANTS[0], Variant(caption="a dock"))


def test_of_more_than_five_variants_the_first_five_are_kept_and_it_says_so(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, {"image": "a.jpg", "variants": [*FULL, FULL[0], FULL[1]]})
    assert isinstance(line.content, Piece)
    assert line.content.variants == VARIANTS
    assert line.note == "7 variants; the first 5 were kept"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"variants": []}, "'variants' is empty"),
        ({"variants": None}, "'variants' must be a list, not null"),
        ({"variants": {"1": FULL[0]}}, "not an object"),
        ({"variants": ["a pier"]}, "variant 1: an object of texts expected, not a string"),
        ({"variants": [{}]}, "variant 1: none of the texts"),
        ({"variants": [FULL[0], {**FULL[1], "feature": ""}]}, "variant 2: feature is empty"),
        ({"variants": [{**FULL[0], "caption": " \t\n"}]}, "variant 1: caption is blank"),
        ({"variants": [{**FULL[0], "caption": None}]}, "caption must be a string, not null"),
        ({"variants": [{**FULL[0], "caption": ["a"]}]}, "caption must be a string, not a list"),
        ({"variants": [{**FULL[0], "caption": 7}]}, "caption must be a string, not a number"),
        ({"caption": ""}, "caption is empty"),
        ({"caption": None}, "caption must be a string, not null"),
        ({"text": None}, "an object of texts expected, not null"),
        ({"text": {"title": "x"}}, "none of the texts"),
        ({"text": "a", "caption": "b"}, "both in 'text' and beside it"),
        ({"feature": "a", "feature_analysis": "b"}, "'feature' is given under two names"),
        ({"title": "a pier"}, "no text; a record has"),
        ({"caption": "a", "model": 4}, "model must be a string"),
        ({"caption": "a\0b"}, "holds a NUL character"),
        ({"caption": "a\ud800b"}, "holds the lone surrogate '\\ud800'"),
    ],
)
def test_a_wrong_text_makes_the_line_bad_and_is_named(
    tmp_path: Path, change: dict[str, object], cause: str
) -> None:
    bad = bad_line(tmp_path, {"image": "a.jpg", **change})
    assert cause in bad.reason
    assert bad.image == "a.jpg"


def test_an_escaped_pair_of_surrogates_is_one_character(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, r'{"image": "a.jpg", "caption": "\ud83d\ude80 caf\u00e9"}')
    assert piece.variants[0].caption == "\U0001f680 café"


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        ("", "non-empty"),
        ("  ", "non-empty"),
        (None, "must be a string, not null"),
        (7, "must be a string, not a number"),
        ("../a.jpg", "'..' is not allowed"),
        ("x/../../a.jpg", "'..' is not allowed"),
        ("x\\..\\a.jpg", "'..' is not allowed"),
        ("/data/a.jpg", "absolute"),
        ("C:\\data\\a.jpg", "absolute"),
        ("\\\\host\\a.jpg", "absolute"),
        (".", "leaves its folder"),
        ("a\0.jpg", "NUL"),
        ("a\udc80.jpg", "lone surrogate"),
        ("a" * 5000, "longer than any path"),
    ],
)
def test_an_id_that_could_never_be_one_makes_the_line_bad(
    tmp_path: Path, image: object, cause: str
) -> None:
    bad = bad_line(tmp_path, {"image": image, "caption": "a dock"})
    assert cause in bad.reason
    assert bad.image is None
    assert len(bad.reason) < 300


@pytest.mark.parametrize("image", ["a\nb.jpg", "a'b\".jpg", "a#1,2.jpg", "機場/é.jpg", "-x.jpg"])
def test_strange_ids_are_kept(tmp_path: Path, image: str) -> None:
    assert piece_of(tmp_path, {"image": image, "caption": "a dock"}).image == image


def test_an_id_has_one_spelling(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, {"image": "./x//cafe\u0301.jpg", "caption": "a dock"})
    assert piece.image == "x/caf\u00e9.jpg"


def test_an_absolute_path_under_the_images_is_made_relative(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    for name in (folder / "x" / "a.jpg", tmp_path / "link" / "x" / "a.jpg"):
        line = {"image_path": str(name), "caption": "a dock"}
        assert piece_of(tmp_path, line, images=folder).image == "x/a.jpg"
        assert piece_of(tmp_path, line, images=tmp_path / "link").image == "x/a.jpg"


@pytest.mark.parametrize("name", ["elsewhere/a.jpg", "pictures/../a.jpg", "pictures"])
def test_an_absolute_path_elsewhere_stays_refused(tmp_path: Path, name: str) -> None:
    line = {"image": f"{tmp_path}/{name}", "caption": "a dock"}
    assert "not under" in bad_line(tmp_path, line, images=tmp_path / "pictures").reason


@pytest.mark.parametrize("inside", [False, True])
def test_metadata_stands_at_top_level_or_inside(tmp_path: Path, inside: bool) -> None:
    given = {"bbox": [-5, 50, -4, 51], "datetime": "2024-05-01", "properties": {"cloud": 3}}
    extra = {"metadata": given} if inside else given
    piece = piece_of(tmp_path, {"image": "a.jpg", "caption": "a dock", **extra})
    assert piece.metadata == Metadata(BBox(-5, 50, -4, 51), "2024-05-01", {"cloud": 3})


def test_other_keys_of_metadata_are_properties(tmp_path: Path) -> None:
    metadata = {"class": "harbour", "bbox": None}
    piece = piece_of(tmp_path, {"image": "a.jpg", "caption": "a dock", "metadata": metadata})
    assert piece.metadata == Metadata(properties={"class": "harbour"})


@pytest.mark.parametrize(
    ("given", "datetime"),
    [
        ({"datetime": None, "start_datetime": "2024-01-01", "end_datetime": "2024-02-01"},
         "2024-01-01/2024-02-01"),
        ({"start_datetime": "2024-01-01"}, "2024-01-01/.."),
        ({"end_datetime": "2024-01-01"}, "../2024-01-01"),
        ({"datetime": "2024-01-01T10:00:00Z"}, "2024-01-01T10:00:00Z"),
    ],
)  # fmt: skip
def test_a_time_may_be_an_interval(tmp_path: Path, given: dict[str, object], datetime: str) -> None:
    piece = piece_of(tmp_path, {"image": "a.jpg", "caption": "a dock", **given})
    assert piece.metadata.datetime == datetime


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"bbox": "1,2,3,4"}, "not a string"),
        ({"bbox": [1, 2, 3]}, "not 3"),
        ({"bbox": [1, 2, 3, "4"]}, "one is a string"),
        ({"bbox": [True, 2, 3, 4]}, "one is true"),
        ({"bbox": [50, 100, 51, 101]}, "did you give lat,lon?"),
        ({"bbox": [10**400, 2, 3, 4]}, "beyond all degrees"),
        ({"bbox": list(range(100_000))}, "not 100000"),
        ({"datetime": "yesterday"}, "not a date"),
        ({"datetime": 2024}, "must be a string"),
        ({"datetime": "2024-02-01/2024-01-01"}, "ends before it starts"),
        ({"datetime": "2024-01-01\ud80010:00:00"}, "surrogate"),
        ({"datetime": "1" * 10_000}, "no datetime"),
        ({"start_datetime": "2024-01-01/..", "end_datetime": "2024-02-01"}, "not one end"),
        ({"properties": [1]}, "properties must be an object"),
        ({"properties": {"a": "\ud800"}}, "surrogate"),
        ({"properties": {"\0": 1}}, "NUL"),
        ({"metadata": "x"}, "metadata must be an object"),
        ({"datetime": "2024-01-01", "metadata": {"datetime": "2024-01-02"}}, "differs from"),
    ],
)
def test_wrong_metadata_makes_the_line_bad(
    tmp_path: Path, given: dict[str, object], cause: str
) -> None:
    bad = bad_line(tmp_path, {"image": "a.jpg", "caption": "a dock", **given})
    assert cause in bad.reason
    assert bad.image == "a.jpg"
    assert len(bad.reason) < 300


def test_properties_may_be_nested_but_not_without_end(tmp_path: Path) -> None:
    def line(depth: int) -> str:
        nested = "[" * depth + "]" * depth
        return '{"image": "a.jpg", "caption": "x", "properties": {"p": ' + nested + "}}"

    assert piece_of(tmp_path, line(20)).metadata.properties["p"]
    assert "nested more than" in bad_line(tmp_path, line(500)).reason


def part(text: str, **rest: object) -> Piece:
    return Piece("a.jpg", (Variant(caption=text),), False, None, Metadata(**rest))  # type: ignore[arg-type]


def test_single_variants_are_put_together_in_their_order() -> None:
    record, notes = assemble([part("one"), part("two")])
    assert [v.caption for v in record.variants] == ["one", "two"]
    assert notes == []


def test_repeats_are_taken_once_and_counted() -> None:
    record, notes = assemble([part("one"), part("two"), part("one")])
    assert [v.caption for v in record.variants] == ["one", "two"]
    assert len(notes) == 1
    assert "once" in notes[0]


def test_of_more_than_five_single_variants_the_first_five_are_kept() -> None:
    record, notes = assemble([part(str(n)) for n in range(8)])
    assert [v.caption for v in record.variants] == list("01234")
    assert notes == ["an image has more than 5 variants; the first 5 were kept"]


def test_an_equal_whole_record_is_harmless_and_another_one_a_conflict() -> None:
    whole = Piece("a.jpg", VARIANTS, True, None, Metadata())
    record, notes = assemble([whole, whole])
    assert record.variants == VARIANTS
    assert len(notes) == 1
    other = Piece("a.jpg", VARIANTS[::-1], True, None, Metadata())
    with pytest.raises(ConflictError, match=r"'a\.jpg' has 2 different records"):
        assemble([whole, other])
    with pytest.raises(ConflictError, match="both a whole record and single variants"):
        assemble([whole, part("one")])


def test_metadata_of_the_lines_of_one_image_is_merged() -> None:
    box = BBox(1, 2, 3, 4)
    record, _ = assemble(
        [part("one", properties={"a": 1}), part("two", bbox=box, properties={"b": 2})]
    )
    assert record.metadata == Metadata(box, None, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ({"bbox": BBox(1, 2, 3, 4)}, {"bbox": BBox(1, 2, 3, 5)}, "bbox"),
        ({"datetime": "2024-01-01"}, {"datetime": "2024-01-02"}, "datetime"),
        ({"properties": {"sensor": 1}}, {"properties": {"sensor": 2}}, "'sensor'"),
    ],
)
def test_contradicting_metadata_is_a_conflict_that_names_the_key(
    first: dict[str, object], second: dict[str, object], key: str
) -> None:
    with pytest.raises(ConflictError, match=key):
        assemble([part("one", **first), part("two", **second)])


def test_two_models_for_one_image_are_a_conflict() -> None:
    pieces = [Piece("a.jpg", (Variant(caption=m),), False, m, Metadata()) for m in ("x", "y")]
    with pytest.raises(ConflictError, match="model"):
        assemble(pieces)
