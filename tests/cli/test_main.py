"""The frame around all commands: the overview, exit codes, and internal errors."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcast.cli import main as module
from maskcast.cli.main import COMMANDS, Command
from maskcast.core.errors import DataError


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


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("sgment", "unknown command 'sgment'; did you mean segment? maskcast --help lists"),
        ("qqq", "unknown command 'qqq'; maskcast --help lists the commands"),
        ("weights verfy", "unknown command 'verfy'; did you mean verify? maskcast weights --help"),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest_one(words, answer, maskcast):
    maskcast(*words.split()).assert_one_sentence(2, answer)


def test_the_help_of_all_commands_mentions_the_version(maskcast):
    assert "maskcast --version" in maskcast("--help").output


@pytest.mark.parametrize(("command", "first"), [("batch", "plan"), ("weights", "list")])
def test_subcommands_have_one_line_each(command, first, maskcast):
    outcome = maskcast(command, "--help")
    usage, empty, *lines = outcome.output.splitlines()
    assert (usage, empty) == (f"usage: maskcast {command} COMMAND …", "")
    functions = importlib.import_module(COMMANDS[command].module).COMMANDS
    assert [line.split()[0] for line in lines[: len(functions)]] == list(functions)
    assert lines[0].split()[0] == first
    assert max(map(len, lines)) <= 80
    without = maskcast(command)
    assert (without.exit_code, without.output) == (2, outcome.output)


def test_what_would_steer_the_terminal_is_written_out(maskcast):
    outcome = maskcast("info", "a\x1b[2J\x9b1m\ud800ü×")
    outcome.assert_one_sentence(3, r"a\x1b[2J\x9b1m\ud800ü×")


@pytest.mark.parametrize("before", ["", "--output="])
def test_home_is_written_out_where_the_shell_leaves_it(before):
    assert module._with_home(f"{before}~/a.mp4") == f"{before}{Path.home()}/a.mp4"
    assert module._with_home(f"{before}a~/b") == f"{before}a~/b"


def with_parts(*, masks: str = "", on_bad_frame: str = "") -> None:
    """Fail with a list, with text from a file, and with options that are flags here, or not."""
    raise DataError(
        "3 problems in a\x1b[2Jb",
        details=["one\nand a half", "two\x9b1m", "three"],
        options=("masks", "on_bad_frame", "output"),
    )


def test_lists_keep_their_lines_and_options_get_their_flags(maskcast, monkeypatch):
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, "with_parts", ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[with_parts.__module__])
    outcome = maskcast("info")
    assert outcome.exit_code == 3
    assert outcome.error.splitlines() == [
        r"maskcast: 3 problems in a\x1b[2Jb (--masks, --on-bad-frame):",
        "  - one and a half",
        r"  - two\x9b1m",
        "  - three",
    ]


def warning_of_an_odd_name() -> None:
    """Log what a file is called."""
    logging.getLogger("maskcast.io").warning("skipped %s", "a\x1b[2Jb\x07")


def test_log_messages_cannot_drive_the_terminal():
    code = (
        "import sys; from maskcast.cli import main; from cli import test_main; "
        "main.COMMANDS['info'] = main.Command('cli.test_main', 'warning_of_an_odd_name', ''); "
        "sys.exit(main.main(['info']))"
    )
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    assert ended.stderr == rb"maskcast: skipped a\x1b[2Jb\x07" + b"\n"


def test_an_unknown_flag_is_misuse(segment):
    outcome = segment("--maks", "first.png")
    assert outcome.exit_code == 2
    assert "Traceback" not in outcome.error


def broken() -> None:
    """Fail as only an internal error does."""
    raise ZeroDivisionError("our fault")


def reading_nothing() -> None:
    """Fail with an error that looks like a person's, but is not one of ours."""
    raise FileNotFoundError("our fault too")


@pytest.mark.parametrize("fault", [broken, reading_nothing])
def test_an_internal_error_is_1_and_leaves_a_log(fault, maskcast, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, fault.__name__, ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[fault.__module__])
    outcome = maskcast("info")
    (log,) = (tmp_path / "logs").iterdir()
    name = "ZeroDivisionError" if fault is broken else "FileNotFoundError"
    outcome.assert_one_sentence(1, f"internal error ({name}); please report it and attach {log}")
    assert "our fault" in log.read_text()


@pytest.mark.parametrize(("cache", "logs"), [("", ".cache/maskcast/logs"), ("~/mine", "mine/logs")])
def test_the_log_lies_where_weights_would(cache, logs, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", cache)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert module._write_log().parent == tmp_path / logs


def refused() -> None:
    """Open a path without permission."""
    raise PermissionError(errno.EACCES, "Permission denied", Path("/root/secret"))


def full() -> None:
    """Write to a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device", "/mnt/full")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (refused, "cannot open '/root/secret': Permission denied"),
        (full, "cannot write /mnt/full: No space left on device"),
    ],
)
def test_a_path_that_cannot_be_opened_is_no_internal_error(work, words, maskcast, monkeypatch):
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, work.__name__, ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[work.__module__])
    maskcast("info").assert_one_sentence(3, words)


def without_memory() -> None:
    """Find a card that others have filled."""
    raise RuntimeError("CUDA error: out of memory")


def with_too_much() -> None:
    """Ask the machine itself for more than it has."""
    np.empty(10**17)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (without_memory, "the device is out of memory; use the CPU"),
        (with_too_much, "out of memory; close other programs"),
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
    assert ended.stderr == b"maskcast: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_is_taken_for_ctrl_c_inside_a_command_only(maskcast, monkeypatch, kind):
    before = signal.signal(kind, signal.SIG_DFL)
    seen = []
    monkeypatch.setattr(module, "_run", lambda *_: seen.append(signal.getsignal(kind)))
    try:
        maskcast("info")
        assert seen == [signal.default_int_handler]
        assert signal.getsignal(kind) is signal.SIG_DFL
    finally:
        signal.signal(kind, before)


def test_under_nohup_a_closed_terminal_changes_nothing(maskcast, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []
    monkeypatch.setattr(module, "_run", lambda *_: seen.append(signal.getsignal(signal.SIGHUP)))
    try:
        maskcast("info")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIG_IGN]


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
        assert not any(line.startswith(" ") for line in about)
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


def needs_a_module_that_is_gone() -> None:
    """Import as ``import rich`` does in an environment that is not whole."""
    raise ModuleNotFoundError("No module named 'rich.console'", name="rich.console")


def test_a_python_environment_that_is_not_whole_is_no_internal_error(maskcast, monkeypatch):
    name = needs_a_module_that_is_gone.__name__
    monkeypatch.setitem(COMMANDS, "info", Command(__name__, name, ""))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[needs_a_module_that_is_gone.__module__])
    maskcast("info").assert_one_sentence(3, "cannot import rich.console: the Python environment")
