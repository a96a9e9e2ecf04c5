"""Errors of the argument parser: one line, with the argument and what to do."""

from __future__ import annotations

import pytest

from maskcast.cli.parser_errors import in_one_line


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("segment", "VIDEO is missing; maskcast segment --help shows the arguments"),
        (
            "evaluate",
            "DATASET, --root and --output are missing; "
            "maskcast evaluate --help shows the arguments",
        ),
        ("completion tcsh", "SHELL: 'tcsh' is not one of bash, fish, zsh"),
        (
            "segment v --cutout prores4444",
            "--cutout: 'prores4444' is not one of exr, png, prores, vp9; did you mean prores?",
        ),
        ("batch run m -o x --results foo", "--results: 'foo' is not one of png, rle, zip"),
        ("segment v --threads abc", "--threads: 'abc' is not a whole number"),
        ("batch run m -o x --price abc", "--price: 'abc' is not a number"),
        (
            "segment v --threads",
            "--threads: the value is missing; maskcast segment --help shows the arguments",
        ),
    ],
)
@pytest.mark.parametrize("columns", ["60", "200"])
def test_an_error_of_the_parser_is_one_line(words, answer, columns, maskcast, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    outcome = maskcast(*words.split())
    assert outcome.error == f"maskcast: {answer}\n"
    assert outcome.exit_code == 2
    assert outcome.output == ""


@pytest.mark.parametrize("box", ["", "no box\n", "╭─ Another title ─╮\n│ a message │\n╰──╯\n"])
def test_other_boxes_have_no_short_form(box):
    assert in_one_line(box, "maskcast segment") is None
