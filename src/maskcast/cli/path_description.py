"""Describe a file or folder (video, masks, a run of any command) for ``maskcast info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskcast.cli.graphs_description import describe_graphs, is_graphs_folder
from maskcast.core.config import config_to_dict, in_words
from maskcast.core.errors import DataError
from maskcast.core.numbers import counted
from maskcast.core.progress import Progress
from maskcast.core.strict_json import read_json
from maskcast.evaluation.published import figures_of
from maskcast.evaluation.run import REQUEST as EVALUATION
from maskcast.evaluation.run import TIMING, read_evaluation_request
from maskcast.evaluation.scores import SCORES_JSON, per_cent, read_scores
from maskcast.io.label_maps import has_ids_in_colours
from maskcast.io.packed_masks import PACKED_NAMES, describe_packed_masks
from maskcast.io.pictures import open_picture
from maskcast.io.prompts.reading import describe_masks
from maskcast.io.prompts.sources import ENDINGS as MASK_ENDINGS
from maskcast.io.video.source import describe_video
from maskcast.methods.recipes import recipes
from maskcast.runs.card import read_card
from maskcast.training.run_folder import (
    BEST_WEIGHTS,
    WEIGHTS,
    as_json,
    flat_settings,
    read_request,
)
from maskcast.training.run_folder import CARD as TRAINING_CARD
from maskcast.training.run_folder import REQUEST as TRAINING

PACKED_ENDINGS = (".jsonl", ".gz", ".zip")
"""File name extensions of files that hold all masks of a video."""


def describe_path(path: Path, progress: Progress | None = None) -> list[str]:
    """Return lines that describe a file or a folder.

    ``progress`` is called with the seconds of a video that are read.

    Raises:
        DataError: the path cannot be read.
    """
    card = read_card(path) if path.is_dir() else None
    if card is not None:
        entries = config_to_dict(card)
        flat = {**entries.pop("request"), **entries}
        return [f"{name:<15} {in_words(value)}" for name, value in flat.items()]
    if path.is_dir() and (path / TRAINING).is_file():
        return list(_describe_training(path))
    if path.is_dir() and is_graphs_folder(path):
        return list(describe_graphs(path))
    if path.is_dir() and ((path / EVALUATION).is_file() or (path / SCORES_JSON).is_file()):
        return list(_describe_evaluation(path))
    packed = _packed_masks(path)
    if packed is not None:
        return describe_packed_masks(packed)
    return describe_masks(path) if _holds_masks(path) else describe_video(path, progress)


def _describe_training(run: Path) -> Iterator[str]:
    """Describe a run folder of ``train``: recipe, progress, weights, and settings of its own."""
    request = read_request(run)
    began = f" from weights of SHA-256 {request.start_from}" if request.start_from else ""
    yield f"training  of {request.recipe}{began}; all settings are in {run / TRAINING}"
    yield from _describe_progress(run)
    for name in (BEST_WEIGHTS, WEIGHTS):
        if (run / name).is_file():
            yield f"{'weights':<15} {run / name}"
    recipe = recipes().get(request.recipe)
    usual = {} if recipe is None else dict(flat_settings(as_json(recipe.config)))
    for name, value in flat_settings(request.config):
        if name in usual and usual[name] != value:
            yield f"{'setting':<15} {name} {in_words(value)}  (recipe: {in_words(usual[name])})"


def _describe_progress(run: Path) -> Iterator[str]:
    """Describe the run card of a training run; nothing if it has none or it is damaged."""
    try:
        card = read_json(run / TRAINING_CARD)
    except (OSError, ValueError):
        return
    steps = f"{card.get('step')} of {card.get('total_steps')} steps"
    status = "time limit reached" if card.get("status") == "time" else card.get("status")
    yield f"{'status':<15} {status}, {steps}, {card.get('hours')} hours"
    if card.get("best") is not None:
        best = card["best"]
        shown = f"{best:.4g}" if isinstance(best, int | float) else in_words(best)
        yield f"{'best':<15} {shown}"
    if card.get("started"):
        yield f"{'started':<15} {card['started']} on {card.get('device')}"


def _describe_evaluation(run: Path) -> Iterator[str]:
    """Describe a run folder of ``evaluate`` or ``score``."""
    if (run / EVALUATION).is_file():
        request = read_evaluation_request(run)
        finished = sum(1 for _ in (run / TIMING).glob("*.json"))
        yield from (f"{name:<15} {in_words(value)}" for name, value in request.items())
        yield f"{'videos':<15} {finished} segmented"
    if (run / SCORES_JSON).is_file():
        scores = read_scores(run)
        videos, objects = counted(len(scores.videos), "video"), len(scores.objects)
        yield f"{'scored':<15} {videos}, {counted(objects, 'object')}"
        for name in ("J&F", "J", "F"):
            yield f"{name:<15} {per_cent(figures_of(scores.dataset)[name])} per cent"


def _packed_masks(path: Path) -> Path | None:
    """Return the file that holds all masks of a video: the path itself or a file in it.

    None means that there is no such file.
    """
    if path.is_dir():
        return next((path / name for name in PACKED_NAMES if (path / name).is_file()), None)
    return path if path.suffix.lower() in PACKED_ENDINGS else None


def _holds_masks(path: Path) -> bool:
    """Return whether a path holds masks (JSON or images without full colour), not frames."""
    if not path.is_dir():
        return path.suffix.lower() in MASK_ENDINGS
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in MASK_ENDINGS]
    if not files:  # one folder per object
        return any(child.is_dir() for child in path.iterdir())
    if files[0].suffix.lower() == ".json":
        return True
    try:
        picture = open_picture(files[0])
    except DataError:  # the reader of frames will report it
        return False
    return picture.mode not in ("RGB", "CMYK", "YCbCr") or has_ids_in_colours(picture)
