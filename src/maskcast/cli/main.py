"""The command ``maskcast``: runs the subcommand, turns errors into messages and exit codes.

0 success · 1 internal error · 2 usage error · 3 bad data · 4 partial result ·
130 interrupted by Ctrl-C or SIGTERM; the command can be resumed
"""

from __future__ import annotations

import errno
import importlib
import inspect
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from maskcast.cli.flags import Flags, flags_of, flags_of_fields
from maskcast.cli.terminal import (
    TerminalFormatter,
    discard,
    say,
    usable_streams,
    usable_width,
)
from maskcast.core.errors import DeviceMemoryError, MaskcastError, OutputError, UsageError
from maskcast.core.files import with_home
from maskcast.core.processors import ending_signals


class Command(NamedTuple):
    """Location of a subcommand; its module is imported only when the command is called."""

    module: str
    name: str
    """Name of a typed function, or of a dictionary from nested subcommands to functions."""
    summary: str
    parses_itself: bool = False
    """Whether the function parses the arguments itself, because they depend on the first one."""


COMMANDS: dict[str, Command] = {
    "segment": Command("maskcast.cli.segment", "segment", "segment marked objects in a video"),
    "demo": Command("maskcast.cli.demo", "demo", "segment a synthetic clip and score the result"),
    "batch": Command("maskcast.cli.batch", "COMMANDS", "segment many videos of a manifest"),
    "app": Command("maskcast.cli.app", "app", "mark, track and correct in the browser"),
    "frame": Command("maskcast.cli.frame", "frame", "write a frame and its masks to paint on"),
    "clean": Command("maskcast.cli.clean", "clean", "delete a run's saved states to free space"),
    "weights": Command("maskcast.cli.weights", "COMMANDS", "list, import, verify, export weights"),
    "info": Command("maskcast.cli.info", "info", "describe a video, masks, weights or a method"),
    "evaluate": Command("maskcast.cli.evaluate", "evaluate", "segment a data set and score it"),
    "score": Command("maskcast.cli.score", "score", "score the masks of any method"),
    "report": Command("maskcast.cli.report", "report", "compare scored runs on one HTML page"),
    "submit": Command("maskcast.cli.submit", "submit", "build or check an archive for a benchmark"),
    "train": Command("maskcast.cli.train", "train", "train a method with one of its recipes", True),
    "bench": Command("maskcast.cli.bench", "bench", "measure speed and memory on this device"),
    "doctor": Command("maskcast.cli.doctor", "doctor", "check the installation and this machine"),
    "completion": Command("maskcast.cli.completion", "completion", "complete commands in a shell"),
}

USAGE_ERROR = 2
BAD_DATA = 3
INTERRUPTED = 130
NOT_OPENED = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
NOT_WRITTEN = (errno.ENOSPC, errno.EROFS)
"""Errors of the file system that are not bugs: permissions, invalid names, a full or read-only
disk."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code."""
    words = [_with_home(text) for text in (sys.argv[1:] if arguments is None else arguments)]
    with usable_streams(), usable_width(), _terminated_like_interrupted():
        if not words or words[0] in ("-h", "--help"):
            code = _guarded(lambda: print(overview()), words)
            return code if words else code or USAGE_ERROR
        if words[0] == "--version":
            return _guarded(lambda: print(f"maskcast {version('maskcast')}"), words)
        if words[0] not in COMMANDS:
            say(_unknown_command(words[0], COMMANDS, "maskcast"))
            return USAGE_ERROR
        return _guarded(lambda: _run(words[0], words[1:]), words)


def _with_home(argument: str) -> str:
    """Expand ``~/`` where shells do not: after ``=`` and inside quotes."""
    return re.sub(r"^(--[a-z-]+=|)~(?=/)", lambda m: m[1] + str(with_home("~")), argument)


def overview() -> str:
    """Return the text of ``maskcast --help``."""
    lines = _columns({name: command.summary for name, command in COMMANDS.items()})
    return "\n".join(
        [
            "usage: maskcast COMMAND …",
            "",
            "Give one mask, get the whole video: semi-supervised video object segmentation.",
            "",
            *lines,
            "",
            "Help on a command: maskcast COMMAND --help. To try it out: maskcast demo.",
            "The installed version: maskcast --version.",
            "",
            "Exit codes: 0 success, 1 internal error (a log file is written), 2 usage error,",
            "3 bad data, 4 partial result, 130 interrupted.",
        ]
    )


def _columns(summaries: Mapping[str, str]) -> list[str]:
    width = max(map(len, summaries))
    return [f"  {name:<{width}}  {summary}" for name, summary in summaries.items()]


def _unknown_command(word: str, known: Collection[str], prog: str) -> str:
    near = get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown command {word!r}; {hint}{prog} --help lists the commands"


def _run(name: str, arguments: list[str]) -> None:
    from maskcast.cli.parsing import parse

    handler = logging.StreamHandler()
    handler.setFormatter(TerminalFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    target: Any = getattr(module, command.name)
    if command.parses_itself:
        target(arguments)
        return
    prog, groups = f"maskcast {name}", getattr(module, "OPTION_GROUPS", {})
    if isinstance(target, dict):
        if not arguments or arguments[0] not in target:
            _show_commands(target, prog, arguments)
            return
        first, *arguments = arguments
        target, prog, groups = target[first], f"{prog} {first}", groups.get(first, {})
    target.__doc__ = unwrapped(target.__doc__ or "")
    parse(
        target,
        arguments,
        prog=prog,
        description=lambda: manual((target.__doc__ or "").partition("\nArgs:")[0]),
        groups=groups,
    )


def _show_commands(functions: Mapping[str, Any], prog: str, arguments: Sequence[str]) -> None:
    """Print the help of a command with nested subcommands, one line for each.

    Raises:
        UsageError: a subcommand is named that does not exist.
        SystemExit: none is named, and no help was requested.
    """
    if arguments and arguments[0] not in ("-h", "--help"):
        raise UsageError(_unknown_command(arguments[0], functions, prog))
    titles = {
        name: (function.__doc__ or "").partition("\n")[0] for name, function in functions.items()
    }
    summaries = {name: title[:1].lower() + title[1:-1] for name, title in titles.items()}
    lines = [f"usage: {prog} COMMAND …", "", *_columns(summaries), ""]
    print("\n".join([*lines, f"Help on a command: {prog} COMMAND --help."]))
    if not arguments:
        raise SystemExit(USAGE_ERROR)


def unwrapped(docstring: str) -> str:
    """Join the lines of each paragraph and argument, so that help can wrap at any width."""
    lines: list[str] = []
    for line in inspect.cleandoc(docstring).splitlines():
        before = lines[-1] if lines else ""
        indent = len(line) - len(line.lstrip())
        if line.strip() and before.strip() and indent in (0, 8) and not before.endswith("Args:"):
            lines[-1] = f"{before} {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


def manual(text: str) -> str:
    """Wrap each line, a paragraph, at the width of the terminal; examples are indented and stay."""
    if not text.strip():  # without docstrings (python -OO) there are no texts
        return ""
    width = shutil.get_terminal_size().columns
    lines = filter(None, text.strip().splitlines())
    return "\n".join(line if line[0].isspace() else textwrap.fill(line, width) for line in lines)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Handle SIGTERM, and SIGHUP of a closed terminal, like Ctrl-C, so that work is kept.

    Under ``nohup`` SIGHUP stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # only it can set signal handlers
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in ending_signals()}
    for kind in before:
        signal.signal(kind, signal.default_int_handler)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _guarded(work: Callable[[], None], words: Sequence[str]) -> int:
    """Do the work of a command line and return the exit code.

    Errors are reported in one line; for an internal error a log file is written.
    """
    try:
        try:
            work()
        except SystemExit:  # the parser has printed a help text or a usage error
            print(end="", flush=True)
            raise
        print(end="", flush=True)  # raises write errors here, not when the interpreter exits
    except MaskcastError as error:
        return _report(error, words)
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (such as head) has closed the pipe
        discard(sys.stdout)
    except Exception as fault:
        if reason := _reason_outside(fault):
            if isinstance(fault, OSError) and not fault.filename:
                discard(sys.stdout)  # else the interpreter would fail again when it exits
            return _report(reason, words)
        log = _write_log()
        say(f"internal error ({type(fault).__name__}); please report it and attach {log}")
        return 1
    return 0


def _report(error: MaskcastError, words: Sequence[str]) -> int:
    """Print an error with the flags of the options it names, and return its exit code."""
    flags = _flags_for(words) if error.options else Flags()
    say(error.summary + flags.in_parentheses(error.options), error.details)
    return error.exit_code


def _flags_for(words: Sequence[str]) -> Flags:
    """Return the flags of the command, or nested subcommand, of a command line."""
    command = COMMANDS[words[0]]
    module = importlib.import_module(command.module)
    target: Any = getattr(module, command.name)
    if command.parses_itself:
        return Flags(flags_of_fields(module.RunOptions), takes_settings=True)
    if isinstance(target, dict):
        target = next((target[name] for name in words[1:2] if name in target), None)
    return Flags() if target is None else flags_of(target)


def _reason_outside(fault: Exception) -> MaskcastError | None:
    """Return an error that explains a failure by its cause outside maskcast, such as a full disk.

    None means that there is no such cause: the failure is an internal error.
    """
    if isinstance(fault, OSError) and fault.filename and fault.errno in NOT_OPENED:
        return OutputError(f"cannot open {str(fault.filename)!r}: {fault.strerror}")
    if isinstance(fault, OSError) and fault.errno in NOT_WRITTEN:
        where = str(fault.filename) if fault.filename else "the output"
        return OutputError(f"cannot write {where}: {fault.strerror}")
    if isinstance(fault, ImportError) and _is_not_ours(fault):
        return MaskcastError(
            f"cannot import {fault.name}: the Python environment of maskcast is incomplete or not "
            "readable for this user; install maskcast again where this user can read it"
        )
    if isinstance(fault, MemoryError):
        return DeviceMemoryError("out of memory; close other programs, or process less at a time")
    if isinstance(fault, RuntimeError):
        from maskcast.core.device_memory import is_out_of_memory

        if is_out_of_memory(fault):
            return DeviceMemoryError(
                "the device is out of memory; use the CPU, or a GPU that no other program uses",
                options=("device",),
            )
    return None


def _installed_version() -> str:
    try:
        return version("maskcast")
    except PackageNotFoundError:
        return "of unknown version"


def _is_not_ours(fault: ImportError) -> bool:
    """Return whether the environment is at fault: another package, or ours cannot be read."""
    if not (fault.name or "maskcast").startswith("maskcast"):
        return True
    return not os.access(Path(__file__).parent, os.R_OK)


def _write_log() -> Path:
    cache = with_home(os.environ.get("MASKCAST_CACHE") or "~/.cache/maskcast")
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    text = f"maskcast {_installed_version()}\n{sys.argv}\n{traceback.format_exc()}"
    for folder in (cache / "logs", Path(tempfile.gettempdir())):
        try:
            if not folder.is_absolute():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return folder / name
    sys.stderr.write(text)
    return Path("the text above")


if __name__ == "__main__":
    sys.exit(main())
