"""Version numbers are compared as numbers, however a program prints them."""

import pytest

from bootstrap.releases import at_least, parse


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("v3.259.0-alpha.1+dirty", (3, 259, 0)),
        ("uv 0.13.9 (x86_64-unknown-linux-gnu)", (0, 13, 9)),
        ("command not found", None),
    ],
)
def test_the_number_is_found_in_what_a_program_prints(text: str, release: tuple[int, ...] | None) -> None:
    assert parse(text) == release


@pytest.mark.parametrize(
    ("found", "minimum", "enough"),
    [((3, 1000, 0), "3.259.0", True), ((1, 9), "1.26", False), ((1, 26), "1.26.0", True), (None, "0.1", False)],
)
def test_a_version_is_enough_if_no_number_is_lower(found: tuple[int, ...] | None, minimum: str, enough: bool) -> None:
    assert at_least(found, minimum) is enough
