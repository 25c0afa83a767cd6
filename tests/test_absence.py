"""A query that says what must not be there is asked as it is typed, with a hint."""

import pytest

from trsllava.search.absence import absence


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("a harbour without ships", "a harbour", "ships"),
        (
            "a turquoise pond among woods, without any houses.",
            "a turquoise pond among woods",
            "houses",
        ),
        ("an airport with no planes", "an airport", "planes"),
        ("a beach but no people", "a beach", "people"),
        ("Fields Free Of snow", "Fields", "snow"),
        ("tanks without a lid", "tanks", "lid"),
    ],
)
def test_clear_forms_are_taken_apart(text, wanted, unwanted):
    assert absence(text) == (wanted, unwanted)


@pytest.mark.parametrize(
    "text",
    [
        "a harbour",
        "without ships",
        "no ships",
        "a road with no less than four lanes",
        "a field without crossing the river",
        "a pond without houses and with a pier",
        "a lake without any of the many white boats on it",
        "withoutside",
        "",
    ],
)
def test_what_is_not_clear_is_left_alone(text):
    assert absence(text) is None
