"""Read and write the records in the folder of a training run.

``config.json`` is the request: recipe, full config and starting weights. ``--config`` reads it.
``card.json`` is the run card: time, code, machine, data and progress.
"""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import ConfigError, MissingFileError
from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.core.training import KnowsItsData, RecipeConfig, Task
from maskcast.runs.request import changed_entries, claim

logger = logging.getLogger(__name__)

REQUEST, CARD = "config.json", "card.json"
WEIGHTS, BEST_WEIGHTS = "weights.safetensors", "best.safetensors"
PACKAGES = ("maskcast", "torch", "torchvision", "lightning", "numpy", "pillow", "safetensors")
FREE_TO_CHANGE = {
    f"loop.{name}"
    for name in (
        *("workers", "prefetch", "log_every", "keep_last", "broken_limit", "bad_steps_limit"),
        *("checkpoint_every", "checkpoint_minutes", "validate_every", "validate_first"),
        "unused_parameters",
    )
}
"""Settings that do not affect the result, so they may change when a run is resumed."""


@dataclass(frozen=True)
class TrainingRequest:
    """Everything that determines the weights at the end of a run."""

    recipe: str
    """Name of the recipe."""
    config: dict[str, Any]
    """All settings, as JSON values."""
    start_from: str | None = None
    """SHA-256 of the weights file that the run started from, if any."""


def request_for(recipe: str, config: RecipeConfig, start_from: str | None) -> TrainingRequest:
    """Return the request with its config as JSON values."""
    return TrainingRequest(recipe, as_json(config), start_from)


def write_request(folder: Path, request: TrainingRequest) -> None:
    """Write ``config.json``; raises ``OutputError``."""
    write_text(folder / REQUEST, json.dumps(vars(request), indent=2) + "\n")


def read_request(path: Path) -> TrainingRequest:
    """Read the ``config.json`` of a training run.

    Args:
        path: the file, or the run folder.

    Raises:
        MissingFileError: the file does not exist.
        ConfigError: the file is not the config of a training run.
    """
    path = path / REQUEST if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(f"config file {path} does not exist", options=("config",))
    try:
        request = TrainingRequest(**read_json(path))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is not the config of a training run ({error})") from error
    if not isinstance(request.config, dict):
        raise ConfigError(f"{path} is not the config of a training run (it has no settings)")
    return request


def refuse_another_run(folder: Path, request: TrainingRequest, config: RecipeConfig) -> None:
    """Check that the checkpoints or weights in a folder belong to the requested run.

    Args:
        folder: the run folder, which has checkpoints or weights.
        request: the requested run.
        config: its settings; the run in the folder has the defaults of their class where it was
            made by a version without a setting.

    Raises:
        RunConflictError: they belong to a different run, whose differences are listed, or to an
            unknown one.
    """
    differing, instead = None, "choose a different folder"
    if (folder / REQUEST).is_file():
        before = read_request(folder)
        differing = list(_differences(before, request, _with_defaults(before.config, config)))
        instead += ", or resume with its settings"
    claim(
        folder,
        differing,
        kind="training run",
        instead=instead,
        options=("run",),
    )


def _differences(
    before: TrainingRequest, now: TrainingRequest, settings_before: dict[str, Any]
) -> Iterator[str]:
    old, new = dict(flat_settings(settings_before)), dict(flat_settings(now.config))
    changed = list(changed_entries(old, new, ignored=FREE_TO_CHANGE))
    if before.recipe != now.recipe and changed:  # with equal settings, the recipe was only renamed
        yield f"the recipe was {before.recipe}, now {now.recipe}"
        return
    if now.start_from not in (None, before.start_from):
        yield "the initial weights are different"
    yield from changed


def _with_defaults(settings: dict[str, Any], config: RecipeConfig) -> dict[str, Any]:
    """Add the defaults of settings that an older version did not have.

    If a setting no longer exists, all are returned unchanged.
    """
    try:
        return as_json(config_from_dict(type(config), settings))
    except ConfigError:
        return settings


def flat_settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting of a config as JSON values by its dotted name."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def as_json(config: RecipeConfig) -> dict[str, Any]:
    """Return all settings as JSON values, for instance tuples as lists."""
    values: dict[str, Any] = json.loads(json.dumps(config_to_dict(config)))
    return values


def circumstances(task: Task, *, device: torch.device, processes: int) -> dict[str, Any]:
    """Return the entries of a run card about code, packages, data and machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "command": sys.argv,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: number for name in PACKAGES if (number := _version(name))},
        "data_fingerprint": task.data_fingerprint() if isinstance(task, KnowsItsData) else None,
        "device": f"{device} {name}".strip(),
        "threads": torch.get_num_threads(),
        "processes": processes,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


_OF_A_SESSION = ("started", "commit", "device", "processes", "step")


def earlier_sessions(folder: Path, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the earlier sessions on the run card; log a warning if the data has changed."""
    try:
        card = read_json(folder / CARD)
        before, used = list(card["earlier"]), card["data_fingerprint"]
        session = {name: card[name] for name in _OF_A_SESSION}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    if used != now["data_fingerprint"]:
        logger.warning("the data has changed since the run started; its losses will differ")
    return [*before, session]


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``card.json``; raises ``OutputError``."""
    write_text(folder / CARD, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def commit() -> str | None:
    """Return the git commit of this code, with ``+`` if files have changed; None if unknown."""
    here = Path(__file__).parent
    revision = _git(here, "rev-parse", "HEAD")
    if revision is None:
        return None
    return revision + ("+" if _git(here, "status", "--porcelain", "--", "..") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
