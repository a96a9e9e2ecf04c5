"""``maskcast train``: train a method with one of its recipes, or resume a run."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from maskcast.cli.arguments import Device, WeightsArgument, shown_as
from maskcast.cli.flags import flags_of_fields
from maskcast.cli.main import manual
from maskcast.cli.parsing import parse as parse_arguments
from maskcast.core.config import config_from_dict
from maskcast.core.errors import UsageError
from maskcast.core.training import Recipe
from maskcast.methods.recipes import EARLIER_NAMES, recipes

if TYPE_CHECKING:
    from maskcast.training.loop import Outcome

USAGE = """\
usage: maskcast train RECIPE [--run FOLDER] [OPTIONS] [SETTINGS]
       maskcast train --config FOLDER [OPTIONS] [SETTINGS]
       maskcast train --list

Train a method with one of its recipes, or resume the run in the run folder.

maskcast train RECIPE --help lists every option and setting with its default. Most recipes
need the folders of their data sets (--data.… settings). Ctrl-C stops after the current
step and saves a checkpoint and weights; the same command resumes from there. --config
takes all settings from an earlier run. To use several processes: torchrun
--nproc-per-node 2 -m -- maskcast.cli.main train RECIPE …

recipes:"""


ABOUT_SETTINGS = (
    "The options of the run control where and how it takes place. All others are settings of the "
    "recipe: they determine what is learned, and are written to config.json in the run folder. "
    "Boolean settings take True or False; None disables a setting."
)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options that control where and how a run takes place; they do not affect the result."""

    run: Annotated[Path | None, shown_as("FOLDER")] = None
    """Run folder; if it already holds this run, the run is resumed. Default: runs/RECIPE."""
    config: Annotated[Path | None, shown_as("FOLDER|FILE")] = None
    """Take settings from a config.json or its run folder; the command line takes precedence."""
    start_from: WeightsArgument = None
    """Name or file of the weights to start from; the schedule begins at its start."""
    max_minutes: Annotated[float | None, shown_as("MINUTES")] = None
    """Stop after this many minutes, with a checkpoint and exported weights. Time for validation
    counts, but a validation and the step after it are finished first."""
    device: Device = "auto"
    """auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps."""
    profile: bool = False
    """Print at the end how much time data loading and computing took."""


def train(arguments: Sequence[str]) -> None:
    """Train a method with one of its recipes, or resume the run in the run folder.

    Under torchrun every process calls this function:
    ``torchrun --nproc-per-node 2 -m -- maskcast.cli.main train RECIPE …``

    Args:
        arguments: the command line. It is parsed here because its settings depend on the recipe.
    """
    known = recipes()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
    if not arguments or arguments[0] in ("-h", "--help", "--list"):
        print(listing(known))
        return
    name, config, rest = choose(arguments, known)
    options, config = parse(rest, config, name=name, title=known[name].title)
    if options.max_minutes is not None and not options.max_minutes >= 0:
        raise UsageError(f"--max-minutes must be at least 0, got {options.max_minutes}")
    from maskcast.training.loop import train as run_training

    first = os.environ.get("RANK", "0") == "0"
    logging.getLogger("maskcast").setLevel(logging.INFO if first else logging.ERROR)
    outcome = run_training(
        name,
        known[name],
        options.run or Path("runs") / name,
        config=config,
        start_from=options.start_from,
        device=options.device,
        max_minutes=options.max_minutes,
        profile=options.profile,
    )
    if first:
        report(outcome, profile=options.profile)
    if outcome.reason == "interrupted":
        raise KeyboardInterrupt(
            f"interrupted after step {outcome.step}; run the same command again to resume"
        )


def listing(known: dict[str, Recipe[Any]]) -> str:
    """Return one line for each recipe."""
    if not known:
        return "no recipes"
    width = max(map(len, known))
    return "\n".join(f"{name:<{width}}  {recipe.title}" for name, recipe in known.items())


def choose(
    arguments: Sequence[str], known: dict[str, Recipe[Any]]
) -> tuple[str, Any, Sequence[str]]:
    """Return the recipe's name, its settings before those of the command line, and the rest.

    Raises:
        UsageError: the recipe is unknown, or differs from the recipe of ``--config``.
    """
    name = None if arguments[0].startswith("-") else arguments[0]
    rest = arguments if name is None else arguments[1:]
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path, nargs="?")
    file = finder.parse_known_args(rest)[0].config
    request = None
    if file is not None:
        from maskcast.training.run_folder import read_request

        request = read_request(file)
    if request is not None and name not in (None, request.recipe):
        raise UsageError(f"{file} is the config of the recipe {request.recipe}, not of {name}")
    name = name if request is None else EARLIER_NAMES.get(request.recipe, request.recipe)
    if name is None:
        raise UsageError("no recipe given; maskcast train --list shows the recipes (RECIPE)")
    if name in EARLIER_NAMES:
        raise UsageError(f"the recipe {name} is now called {EARLIER_NAMES[name]}")
    if name not in known:
        raise UsageError(f"unknown recipe {name!r}; available: {', '.join(known) or 'none'}")
    config = known[name].config
    if request is not None:
        config = config_from_dict(type(config), request.config)
    return name, config, rest


def parse(
    arguments: Sequence[str], config: Any, *, name: str, title: str
) -> tuple[RunOptions, Any]:
    """Parse options and settings; a setting that is not given keeps its value in ``config``.

    Boolean settings take a value, whatever their default: ``--loop.compile False``.
    """
    without_prefix = tyro.conf.arg(name="")
    settings: Any = Annotated[type(config), without_prefix, tyro.conf.FlagConversionOff]
    together = make_dataclass(
        "Arguments",
        [
            ("options", Annotated[RunOptions, without_prefix]),
            ("settings", settings, field(default=config)),
        ],
    )
    parsed: Any = parse_arguments(
        together,
        arguments,
        prog=f"maskcast train {name}",
        description=lambda: manual(f"{title[0].upper()}{title[1:]}.\n\n{ABOUT_SETTINGS}"),
        groups={
            "run": ("--help", *flags_of_fields(RunOptions).values()),
            "settings of the recipe": (),
        },
    )
    return parsed.options, parsed.settings


def report(outcome: Outcome, *, profile: bool) -> None:
    """Print why and at which step a run ended, its weights, and its times if asked for."""
    best = "" if outcome.best is None else f", best {outcome.best:.4f}"
    print(f"{outcome.reason}: step {outcome.step} of {outcome.total_steps}{best}")
    print(f"weights: {outcome.weights}")
    if profile:
        print(outcome.times)
