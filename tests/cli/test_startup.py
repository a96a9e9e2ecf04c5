"""Help texts and errors of the argument parser come without torch; modules are counted, not time.

``benchmarks/startup/startup.py`` measures the time.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from maskcast.cli.main import COMMANDS
from maskcast.methods.recipes import RECIPES

SLOW = {"torch", "torchvision", "av", "lightning", "rich"}
MOST_MODULES = 500
"""A command line that loads torch has more than 1,200."""

HELP = [[], ["--help"], ["--version"]] + [[command, "--help"] for command in COMMANDS]
HELP += [["weights", name, "--help"] for name in ("list", "import", "verify", "export")]
HELP += [["batch", name, "--help"] for name in ("plan", "check", "run", "status", "collect")]
HELP += [["train", "--list"]]
HELP += [["train", next(iter(recipes)), "--help"] for recipes in RECIPES.values()]
ERRORS = [
    ["sgment"],
    ["segment"],
    ["segment", "video.mp4", "--maks", "first.png"],
    ["segment", "video.mp4", "--direction", "sideways"],
    ["demo", "--frames", "many"],
    ["batch"],
    ["batch", "run", "videos.jsonl"],
    ["weights"],
    ["weights", "instal"],
    ["info"],
    ["evaluate", "davis2017"],
    ["evaluate", "davis2017", "--root", "x", "-o", "y", "--init", "guess"],
    ["score"],
    ["report", "--oops"],
    ["submit", "--oops"],
    ["train", "nothing"],
    ["train", "lwl-small", "--loop.epoch", "3"],
    ["bench", "things"],
]
SCRIPT = """
import contextlib, io, json, sys
from maskcast.cli.main import main

command_lines, slow = json.loads(sys.argv[1])
found = []
for command_line in command_lines:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main(command_line)
        except SystemExit as end:
            code = end.code
    found.append([code, [name for name in slow if name in sys.modules], len(sys.modules)])
print(json.dumps(found))
"""


def run(command_lines: list[list[str]]) -> list[tuple[int, list[str], int]]:
    """Exit code, slow modules and number of modules after each, in one fresh interpreter."""
    asked = json.dumps([command_lines, sorted(SLOW)])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, asked], capture_output=True, text=True, check=True
    )
    return [tuple(each) for each in json.loads(done.stdout)]


def test_help_texts_need_no_torch():
    for command_line, (code, slow, _) in zip(HELP, run(HELP), strict=True):
        assert code == (0 if command_line else 2), command_line
        assert not slow, command_line


def test_errors_of_the_parser_need_no_torch():
    for command_line, (code, slow, _) in zip(ERRORS, run(ERRORS), strict=True):
        assert code == 2, command_line
        assert not slow, command_line


@pytest.mark.parametrize("command", list(COMMANDS))
def test_each_help_text_loads_few_modules(command):
    ((_, _, count),) = run([[command, "--help"]])
    assert count < MOST_MODULES
