"""The frame around all commands: the overview, exit codes, and faults of ours."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcast.cli import main as module
from maskcast.cli.main import COMMANDS, Command


def test_the_overview_lists_every_command_without_importing_any(capsys):
    assert module.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    code = (
        "import sys; from maskcast.cli.main import main; main(['--help']); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_without_a_command_the_overview_is_shown_and_it_counts_as_misuse(capsys):
    assert module.main([]) == 2
    assert "usage: maskcast COMMAND" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert module.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("maskcast 0.")


def test_an_unknown_command_is_answered_with_the_known_ones(maskcast):
    maskcast("sgment").assert_one_sentence(2, "no command 'sgment'; known: segment, demo")


def test_what_would_steer_the_terminal_is_written_out(maskcast):
    outcome = maskcast("info", "a\x1b[2J\x9b1m\ud800ü×")
    outcome.assert_one_sentence(3, r"a\x1b[2J\x9b1m\ud800ü×")


@pytest.mark.parametrize("before", ["", "--output="])
def test_home_is_written_out_where_the_shell_leaves_it(before):
    assert module._with_home(f"{before}~/a.mp4") == f"{before}{Path.home()}/a.mp4"
    assert module._with_home(f"{before}a~/b") == f"{before}a~/b"


def test_an_unknown_flag_is_misuse(segment):
    outcome = segment("--maks", "first.png")
    assert outcome.exit_code == 2
    assert "Traceback" not in outcome.error


def broken() -> None:
    """Fail as only a fault of ours does."""
    raise ZeroDivisionError("our fault")


def reading_nothing() -> None:
    """Fail with an error that looks like a person's, but is not one of ours."""
    raise FileNotFoundError("our fault too")


@pytest.mark.parametrize("fault", [broken, reading_nothing])
def test_a_fault_of_ours_is_1_and_leaves_a_log(fault, maskcast, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, fault.__name__, ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[fault.__module__])
    outcome = maskcast("info")
    (log,) = (tmp_path / "logs").iterdir()
    outcome.assert_one_sentence(1, str(log))
    assert "our fault" in log.read_text()


@pytest.mark.parametrize(("cache", "logs"), [("", ".cache/maskcast/logs"), ("~/mine", "mine/logs")])
def test_the_log_lies_where_weights_would(cache, logs, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", cache)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert module._write_log().parent == tmp_path / logs


def refused() -> None:
    """Meet a path to which the person has no right."""
    raise PermissionError(errno.EACCES, "Permission denied", Path("/root/secret"))


def test_what_the_system_refuses_is_told_with_its_path(maskcast, monkeypatch):
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, "refused", ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[refused.__module__])
    maskcast("info").assert_one_sentence(3, "refuses '/root/secret': Permission denied")


def without_memory() -> None:
    """Find a card that others have filled."""
    raise RuntimeError("CUDA error: out of memory")


def with_too_much() -> None:
    """Ask the machine itself for more than it has."""
    np.empty(10**17)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (without_memory, "the device has no memory left; use --device cpu"),
        (with_too_much, "this machine has no memory left"),
    ],
)
def test_want_of_memory_is_no_fault_of_ours(work, words, maskcast, monkeypatch):
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, work.__name__, ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[work.__module__])
    maskcast("info").assert_one_sentence(3, words)


def test_an_output_that_is_closed_is_no_fault_of_ours(maskcast, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)  # as python has it after >&-
    assert maskcast("info", "lwl").exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_that_finds_no_room_is_no_fault_of_ours(tmp_path):
    Image.new("1", (8, 8)).save(tmp_path / "x.gif")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "maskcast.cli.main", "info", "x.gif"]
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, cwd=tmp_path
        )
    assert ended.returncode == 3
    assert (
        ended.stderr == b"maskcast: what this command prints cannot be written: the disk is full\n"
    )


def test_a_polite_kill_is_taken_for_ctrl_c_inside_a_command_only(maskcast, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    seen = []
    monkeypatch.setattr(module, "_run", lambda *_: seen.append(signal.getsignal(signal.SIGTERM)))
    maskcast("info")
    assert seen == [signal.default_int_handler]
    assert signal.getsignal(signal.SIGTERM) is before


def interrupting() -> None:
    """Be stopped by Ctrl-C."""
    raise KeyboardInterrupt


def test_ctrl_c_is_130(maskcast, monkeypatch):
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, "interrupting", ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[interrupting.__module__])
    maskcast("info").assert_one_sentence(130, "interrupted")


def test_help_breaks_paragraphs_at_the_width_of_the_terminal(maskcast, monkeypatch):
    for columns in (40, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = maskcast("evaluate", "--help").output.splitlines()
        about = [line for line in lines[2 : lines.index("", 2)] if not line.startswith("    ")]
        assert about[0].startswith("Segment every video of a data set and")
        assert about[-1].endswith("give:")  # then come examples
        assert all(line.startswith("  ") for line in about[1:])
        assert columns - 15 < max(map(len, about)) <= columns


def test_help_leaves_examples_on_one_line(maskcast, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = maskcast("segment", "--help").output.splitlines()
    assert "    maskcast segment dog.mp4 --masks first.png -o dog" in lines


@pytest.mark.parametrize("command", [*COMMANDS, "weights import"])
def test_help_says_what_stands_for_a_value(command, maskcast):
    outcome = maskcast(*command.split(), "--help")
    assert outcome.exit_code == 0
    assert outcome.output.startswith(f"usage: maskcast {command} ")
    assert "None" not in outcome.output


def test_help_joins_the_lines_of_a_paragraph_and_of_an_argument():
    docstring = """One line.

    Two lines
    joined.

    Args:
        first: goes
            on.
        second: is short.
    """
    assert module.unwrapped(docstring).splitlines() == [
        "One line.",
        "",
        "Two lines joined.",
        "",
        "Args:",
        "    first: goes on.",
        "    second: is short.",
    ]
