"""Standard streams that are closed, full or read by nobody, and terminals of odd widths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maskcast.cli.terminal import say, usable_streams, usable_width


def run(
    *arguments: str, streams: str = "", columns: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line in a shell with redirected streams, such as ``>&-``."""
    environment = {**os.environ, **({} if columns is None else {"COLUMNS": columns})}
    command = f'exec {sys.executable} -m maskcast.cli.main "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", command, "sh", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_closed_or_full_streams_change_no_exit_code(streams):
    for arguments, code in ((["--version"], 0), (["nothing"], 2)):
        done = run(*arguments, streams=streams)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), (arguments, done)


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"]])
def test_output_that_cannot_be_written_is_an_error_of_the_disk(arguments):
    done = run(*arguments, streams=">/dev/full")
    assert done.returncode == 3
    assert done.stderr == "maskcast: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"]])
def test_a_reader_that_has_left_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "maskcast.cli.main", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_streams_do_not_give_their_numbers_to_files(tmp_path: Path):
    code = (
        "import os, sys; from maskcast.cli.terminal import usable_streams\n"
        "with usable_streams(), open(sys.argv[1], 'w') as file:\n"
        "    assert file.fileno() > 2; os.write(2, b'from a C library')\n"
    )
    written = tmp_path / "file"
    command = f'exec {sys.executable} -c "$0" {written} <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, code], check=False).returncode == 0
    assert written.read_text() == ""


class _Full:
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")

    flush = write


def test_what_standard_error_cannot_take_is_dropped(monkeypatch):
    monkeypatch.setattr(sys, "stderr", _Full())
    with usable_streams():
        say("not seen")
    with pytest.raises(OSError, match="No space"):
        say("not seen")


@pytest.mark.parametrize(
    ("columns", "usable"), [("1", "40"), ("5", "40"), ("80", "80"), ("99999999", "1000")]
)
def test_widths_are_brought_into_range(columns, usable, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    with usable_width():
        assert os.environ["COLUMNS"] == usable
    assert os.environ["COLUMNS"] == columns


def test_help_is_printed_on_the_narrowest_terminal():
    done = run("segment", "--help", columns="3")
    assert done.returncode == 0
    assert "--masks" in done.stdout


def test_commands_work_without_docstrings(monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    assert run("segment", "--help").returncode == 0
