"""The scripts of ``maskcast completion`` complete commands, options and choices."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from maskcast.cli.completion import completion_script
from maskcast.cli.main import COMMANDS

COMPLETE = """
complete_words() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
  _maskcast
  echo "${COMPREPLY[*]}"
}
complete_words maskcast se
complete_words maskcast segment --ov
complete_words maskcast segment v.mp4 --direction ""
complete_words maskcast weights imp
complete_words maskcast train agame-stage
complete_words maskcast train lwl-small --max
complete_words maskcast segment some-video
complete_words maskcast segment --mat
complete_words maskcast batch run --edg
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_choices_and_recipes():
    script = completion_script("bash") + COMPLETE
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "segment",
        "--overwrite --overlay",
        "forward both",
        "import",
        "agame-stage1 agame-stage2",
        "--max-minutes",
        "",  # bash then completes file names
        "--matte",
        "--edges",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_descriptions_have_no_line_breaks(shell):
    (line,) = re.findall("^COMPLETION_SPEC = .*$", completion_script(shell), flags=re.MULTILINE)
    assert "--matte" in line and "\\n" not in line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_none_is_not_among_the_choices(shell):
    script = completion_script(shell)
    choices = [
        set(re.findall(r"'(.*?)'", text)) for text in re.findall(r"'choices': (.*?\])", script)
    ]
    assert {"png", "rle", "zip"} in choices
    assert not [words for words in choices if "None" in words]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_with_every_command(shell, maskcast):
    outcome = maskcast("completion", shell)
    assert outcome.exit_code == 0
    assert "complete" in outcome.output
    assert all(f"'{name}': {{" in outcome.output for name in COMMANDS)


def test_unknown_shells_are_rejected(maskcast):
    assert maskcast("completion", "tcsh").exit_code == 2
