"""``maskcast completion``: print a script that completes commands and options in a shell."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from typing import Annotated, Any, Literal, TypeAlias, Union

import tyro
from tyro.conf import Positional

from maskcast.cli.arguments import PARSER_SETTINGS
from maskcast.cli.main import COMMANDS, Command, unwrapped
from maskcast.cli.train import RunOptions
from maskcast.methods.recipes import recipes

Shell: TypeAlias = Literal["bash", "zsh", "fish"]

_SPECIFICATION = re.compile(r"^COMPLETION_SPEC = .*$", flags=re.MULTILINE)
_NO_CHOICE = re.compile(r"(?<=\[)'None', |, 'None'(?=[,\]])")
"""The word None among the choices of an option; it stands for leaving the option out."""
_LINE_BREAKS = {
    "bash": re.compile(r"(?<!\\)\\n\s*"),
    "zsh": re.compile(r"(?<!\\)\\n\s*"),
    "fish": re.compile(r"(?<!\\)\\\\n\s*"),
}
"""Line breaks in texts of the specification, as each shell's script escapes them. They are replaced
because the shells read one candidate per line: the rest of a description would be another one."""

FILE_NAMES_IN_BASH = """
# Complete file names where nothing else fits.
_maskcast() {
  _tyro_maskcast
  [ -n "${COMPREPLY[*]}" ] || COMPREPLY=()
}
complete -o default -F _maskcast maskcast
"""


def completion(shell: Positional[Shell]) -> None:
    """Print a script that completes commands and options in a shell.

    In bash, add the first line to ~/.bashrc. In zsh, run the second one, with a folder of your
    fpath. In fish, run the third one. They take effect in new shells:
        eval "$(maskcast completion bash)"
        maskcast completion zsh > ~/.zfunc/_maskcast
        maskcast completion fish > ~/.config/fish/completions/maskcast.fish

    Args:
        shell: the shell that reads the script.
    """
    print(completion_script(shell), end="")


def completion_script(shell: Shell) -> str:
    """Return the completion script of all commands for a shell."""
    functions = {name: _function(command) for name, command in COMMANDS.items()}
    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):  # the parser exits after printing
        tyro.cli(
            _choice(functions),
            prog="maskcast",
            args=["--tyro-print-completion", shell],
            config=PARSER_SETTINGS,
        )
    line_break = _LINE_BREAKS[shell]
    script = _SPECIFICATION.sub(
        lambda line: _NO_CHOICE.sub("", line_break.sub(" ", line[0])), text.getvalue()
    )
    return script + (FILE_NAMES_IN_BASH if shell == "bash" else "")


def _function(command: Command) -> Any:
    """Return the function of a command, or the functions of its nested subcommands."""
    if command.parses_itself:
        return dict.fromkeys(recipes(), _train)
    return getattr(importlib.import_module(command.module), command.name)


def _train(options: Annotated[RunOptions, tyro.conf.arg(name="")]) -> None:
    """Stand for ``maskcast train RECIPE``, which parses its arguments itself."""


def _choice(functions: Mapping[str, Any]) -> Any:
    """Return the type of a choice between functions, which the parser shows as subcommands."""
    members = tuple(_subcommand(name, function) for name, function in functions.items())
    return Union[members]  # noqa: UP007 - the members are known only when this runs


def _subcommand(name: str, function: Callable[..., Any] | Mapping[str, Any]) -> Any:
    if isinstance(function, Mapping):
        return Annotated[_choice(function), tyro.conf.subcommand(name)]
    function.__doc__ = unwrapped(function.__doc__ or "")
    return Annotated[Any, tyro.conf.subcommand(name, constructor=function)]
