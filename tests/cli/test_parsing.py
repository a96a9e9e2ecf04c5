"""Help texts in groups, and unknown options that are answered with the nearest names only."""

from __future__ import annotations

import importlib
import re

import pytest

from maskcast.cli import parsing
from maskcast.cli.main import COMMANDS

HELP = """\
usage: maskcast paint [-h] [OPTIONS]

╭─ options ────────────────────╮
│ -h, --help      show this    │
│ --size INT      as --colour  │
│                 needs it     │
│ -o PATH, --output PATH       │
│                 the file     │
│ --colour TEXT   a colour     │
╰──────────────────────────────╯
╭─ model options ──────────────╮
│ --model.width INT            │
╰──────────────────────────────╯
"""
GROUPS = {"look": ("--colour",), "input and output": ("--output",), "rest": ()}


def test_options_are_divided_into_boxes_of_the_same_width():
    assert (
        parsing.in_groups(HELP, GROUPS)
        == """\
usage: maskcast paint [-h] [OPTIONS]

╭─ look ───────────────────────╮
│ --colour TEXT   a colour     │
╰──────────────────────────────╯
╭─ input and output ───────────╮
│ -o PATH, --output PATH       │
│                 the file     │
╰──────────────────────────────╯
╭─ rest ───────────────────────╮
│ -h, --help      show this    │
│ --size INT      as --colour  │
│                 needs it     │
╰──────────────────────────────╯
╭─ model options ──────────────╮
│ --model.width INT            │
╰──────────────────────────────╯
"""
    )


def test_colours_are_kept():
    dim = HELP.replace("options ─", "\x1b[2moptions\x1b[0m ─", 1).replace("--size", "\x1b[1m--size")
    grouped = parsing.in_groups(dim, GROUPS)
    assert "\x1b[2mlook\x1b[0m" in grouped and "\x1b[1m--size" in grouped
    assert parsing._ANSI.sub("", grouped) == parsing.in_groups(HELP, GROUPS)


def test_a_text_without_boxes_stays_as_it_is():
    assert parsing.in_groups("usage: …\n", GROUPS) == "usage: …\n"


@pytest.mark.parametrize("command", ["segment", "evaluate", "batch run"])
def test_every_option_but_help_is_in_a_named_group(command, maskcast):
    name, *subcommands = command.split()
    groups = importlib.import_module(COMMANDS[name].module).OPTION_GROUPS
    for subcommand in subcommands:
        groups = groups[subcommand]
    text = maskcast(*command.split(), "--help").output
    titles = re.findall(r"^╭─ (.*?) ─", text, flags=re.MULTILINE)
    assert titles == ["positional arguments", *groups]
    shown = re.findall(r"^│ (?:-\w.*?, )?(--[\w-]+)", text, flags=re.MULTILINE)
    assert sorted(shown) == sorted([*(f for flags in groups.values() for f in flags), "--help"])


def test_help_of_a_recipe_separates_the_run_from_the_settings(maskcast):
    text = maskcast("train", "lwl-small", "--help").output
    titles = re.findall(r"^╭─ (.*?) ─", text, flags=re.MULTILINE)
    assert titles[:2] == ["run", "settings of the recipe"] and "data options" in titles
    assert text.index("--max-minutes") < text.index("settings of the recipe ─")


@pytest.mark.parametrize("columns", [80, 200])
def test_help_is_at_most_100_columns_wide(columns, maskcast, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = maskcast("segment", "--help").output.splitlines()
    boxes = [line for line in lines if line.startswith(("╭", "│", "╰"))]
    assert {len(line) for line in boxes} == {min(columns, 100)}


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("segment v --maks x", "unknown option --maks; did you mean --masks?"),
        ("segment --maks x v", "unknown option --maks; did you mean --masks?"),
        ("segment v --over=1", "unknown option --over; did you mean --overlay or --overwrite?"),
        (
            "segment v --qqqqqqq",
            "unknown option --qqqqqqq; maskcast segment --help lists the options",
        ),
        ("segment v w", "unexpected argument 'w'; maskcast segment --help shows the arguments"),
        ("weights import x --sha 1", "unknown option --sha; did you mean --sha256?"),
        (
            "train lwl-small --loop.epoch 3",
            "unknown option --loop.epoch; did you mean --loop.epochs?",
        ),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest_names(words, answer, maskcast):
    outcome = maskcast(*words.split())
    outcome.assert_one_sentence(2, answer)
    assert outcome.error == f"maskcast: {answer}\n"
    assert outcome.output == ""
