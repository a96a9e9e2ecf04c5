"""The command ``maskcast``: finds the subcommand, turns errors into a sentence and an exit code.

0 done · 1 a fault of ours · 2 the call makes no sense · 3 bad data · 4 part of the work done ·
130 interrupted (Ctrl-C or SIGTERM), can be resumed
"""

from __future__ import annotations

import errno
import importlib
import inspect
import io
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from maskcast.cli.terminal import say
from maskcast.core.errors import MaskcastError


class Command(NamedTuple):
    """Where a subcommand lives; it is imported only when it is called."""

    module: str
    name: str
    """A typed function, or a dictionary from the name of a further subcommand to its function."""
    summary: str
    parses_itself: bool = False
    """The function takes the arguments as they are, because they depend on the first one."""


COMMANDS: dict[str, Command] = {
    "segment": Command("maskcast.cli.segment", "segment", "follow marked objects through a video"),
    "demo": Command("maskcast.cli.demo", "demo", "segment a made-up clip and score the result"),
    "weights": Command("maskcast.cli.weights", "COMMANDS", "list, import, verify, export weights"),
    "info": Command("maskcast.cli.info", "info", "say what a video, mask, weights or method is"),
    "evaluate": Command("maskcast.cli.evaluate", "evaluate", "segment a data set and score it"),
    "score": Command("maskcast.cli.score", "score", "score the masks of any method"),
    "report": Command("maskcast.cli.report", "report", "compare scored runs on one HTML page"),
    "submit": Command("maskcast.cli.submit", "submit", "build or check a benchmark's archive"),
    "train": Command("maskcast.cli.train", "train", "train a method by one of its recipes", True),
    "bench": Command("maskcast.cli.bench", "bench", "measure speed and memory on this device"),
}

USAGE_ERROR = 2
BAD_DATA = 3
INTERRUPTED = 130
REFUSALS = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EROFS)
"""What the system says of a path whoever asks: no right to it, an impossible name, no room."""
LONGEST_SENTENCE = 1200
"""Characters."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    given = [_with_home(text) for text in (sys.argv[1:] if arguments is None else arguments)]
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return 0 if given else USAGE_ERROR
    if given[0] == "--version":
        print(f"maskcast {version('maskcast')}")
        return 0
    if given[0] not in COMMANDS:
        say(f"there is no command {given[0]!r}; known: {', '.join(COMMANDS)}")
        return USAGE_ERROR
    with _terminated_like_interrupted():
        return _guarded(lambda: _run(given[0], given[1:]))


def _with_home(argument: str) -> str:
    """Write out ``~/`` where shells leave it: after ``=``, and between quotes."""
    return re.sub(r"^(--[a-z-]+=|)~(?=/)", lambda m: m[1] + str(Path.home()), argument)


def overview() -> str:
    """Return the text of ``maskcast --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: maskcast COMMAND …",
            "",
            "Give one mask, get the whole video: semi-supervised video object segmentation.",
            "",
            *lines,
            "",
            "maskcast COMMAND --help says more; maskcast demo is a good start.",
            "",
            "Exit codes: 0 done, 2 the call makes no sense, 3 bad data, 4 part of the work done,",
            "130 interrupted, 1 a fault of maskcast, with a log file to report it with.",
        ]
    )


def _run(name: str, arguments: list[str]) -> None:
    import tyro  # noqa: PLC0415 - slow to import, and the overview does without

    logging.basicConfig(level=logging.WARNING, format="maskcast: %(message)s")
    command = COMMANDS[name]
    target: Any = getattr(importlib.import_module(command.module), command.name)
    if command.parses_itself:
        target(arguments)
        return
    functions = target.values() if isinstance(target, dict) else [target]
    for function in functions:
        function.__doc__ = unwrapped(function.__doc__ or "")
    prog = f"maskcast {name}"
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalMetavarFromFieldName)
    if isinstance(target, dict):
        tyro.extras.subcommand_cli_from_dict(target, prog=prog, args=arguments, config=config)
    else:
        about = manual(target.__doc__.partition("\nArgs:")[0])
        tyro.cli(target, prog=prog, description=about, args=arguments, config=config)


def unwrapped(docstring: str) -> str:
    """Join the lines of each paragraph and argument, so that help fits a terminal of any width."""
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
    """Break paragraphs at the width of the terminal; those after the first are indented.

    Examples, which are indented already, stay as they are. The parser itself breaks what is in
    boxes, and joins lines that begin with a letter.
    """
    width = shutil.get_terminal_size().columns
    first, *others = filter(None, text.strip().splitlines())
    lines = [textwrap.fill(first, width, subsequent_indent="  ")]
    for each in others:
        is_example = each[0].isspace()
        lines.append(each if is_example else textwrap.indent(textwrap.fill(each, width - 2), "  "))
    return "\n".join(lines)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Take a polite kill (SIGTERM) for Ctrl-C, so that what was done is kept."""
    if threading.current_thread() is not threading.main_thread():  # python allows no other
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _guarded(work: Callable[[], None]) -> int:
    """Do the work; a person's mistake is one sentence, a fault of ours leaves a log file too."""
    try:
        work()
        print(end="", flush=True)  # what cannot be written is told here, not at the end
    except MaskcastError as error:
        say(textwrap.shorten(str(error), LONGEST_SENTENCE, placeholder=" …"))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as fault:
        if reason := _reason_outside(fault):
            say(reason)
            return BAD_DATA
        log = _write_log()
        say(f"this is a fault in maskcast ({type(fault).__name__}); please report it with {log}")
        return 1
    return 0


def _reason_outside(fault: Exception) -> str | None:
    """Say what the machine refuses, if that is the reason, and not a fault of ours."""
    if isinstance(fault, OSError) and fault.filename and fault.errno in REFUSALS:
        return f"the system refuses {str(fault.filename)!r}: {fault.strerror}"
    if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
        return "what this command prints cannot be written: the disk is full"
    if isinstance(fault, MemoryError):
        return "this machine has no memory left; end other programs, or ask for less at once"
    if isinstance(fault, RuntimeError):
        from maskcast.core.device_memory import is_out_of_memory  # noqa: PLC0415 - imports torch

        if is_out_of_memory(fault):
            return "the device has no memory left; use --device cpu, or a card nobody else uses"
    return None


def _write_log() -> Path:
    cache = Path(os.environ.get("MASKCAST_CACHE") or "~/.cache/maskcast").expanduser()
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    text = f"maskcast {version('maskcast')}\n{sys.argv}\n{traceback.format_exc()}"
    for folder in (cache / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        except OSError:
            continue
        return folder / name
    sys.stderr.write(text)
    return Path("the text above")


if __name__ == "__main__":
    sys.exit(main())
