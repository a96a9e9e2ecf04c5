"""Help texts and messages about wrong arguments come without torch; modules are counted, not time.

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
BOXED = ["segment", ".", "--box"]
"""Files are only opened after all of these checks, so an empty folder will do as a video."""
WRONG_INPUTS = [
    (["segment", "none.mp4", "--box", "1:1,2,3,4"], 3),
    (["segment", "s3://none/clip.mp4", "--box", "1:1,2,3,4"], 3),
    (["segment", "."], 2),
    (["segment", ".", "--masks", "none.png"], 3),
    (["segment", ".", "--corrected", "none.png"], 3),
    (["segment", ".", "--detections", "none.json"], 3),
    ([*BOXED, "1:1,2,3"], 2),
    ([*BOXED, "1:1,2,3,0"], 3),
    ([*BOXED, "0:1,2,3,4"], 3),
    ([*BOXED, "1,2,3,4", "--absent", "74-103"], 2),
    ([*BOXED, "1,2,3,4", "--end-object", "5"], 2),
    ([*BOXED, "1,2,3,4", "--swap", "5:1"], 2),
    ([*BOXED, "1,2,3,4", "--merge", "5"], 2),
    ([*BOXED, "1,2,3,4", "--name", "dog"], 2),
    ([*BOXED, "1,2,3,4", "--colour", "1=red"], 2),
    ([*BOXED, "1,2,3,4", "--weights", "none"], 3),
    ([*BOXED, "1,2,3,4", "--weights", "none.safetensors"], 3),
    ([*BOXED, "1,2,3,4", "--weights", "lwl-ytvos"], 3),
    ([*BOXED, "1,2,3,4", "--method", "eosvos"], 3),
    ([*BOXED, "1,2,3,4", "--method", "none"], 2),
    (["frame", "none.mp4", "0"], 3),
]
"""Command lines whose input is wrong, and their exit codes."""
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


def test_wrong_inputs_are_reported_before_torch_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    command_lines = [command_line for command_line, _ in WRONG_INPUTS]
    for (command_line, expected), (code, slow, _) in zip(
        WRONG_INPUTS, run(command_lines), strict=True
    ):
        assert code == expected, command_line
        assert not slow, command_line


@pytest.mark.parametrize("command", list(COMMANDS))
def test_each_help_text_loads_few_modules(command):
    ((_, _, count),) = run([[command, "--help"]])
    assert count < MOST_MODULES
