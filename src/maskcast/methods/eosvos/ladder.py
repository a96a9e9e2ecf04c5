"""Table 1 and the two figures of the paper: the grid search, and curves from finished runs.

    python -m maskcast.methods.eosvos.ladder rate --weights parent.safetensors --videos FOLDER …
    python -m maskcast.methods.eosvos.ladder figures RUN… --output FOLDER

A run is a folder of ``maskcast evaluate``; its options say how many inner steps it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path
from typing import Any

import torch
import tyro
from tyro.conf import Positional

from maskcast.core.config import config_from_dict
from maskcast.core.errors import DataError, UsageError
from maskcast.evaluation.scores import read_scores
from maskcast.io.files import write_text
from maskcast.io.weights import read_weights, write_weights
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.network import build_network
from maskcast.methods.eosvos.parent_training import search_rate
from maskcast.methods.eosvos.tasks import open_tasks
from maskcast.methods.eosvos.training_config import TaskDataConfig, ValidationConfig

WIDTH, HEIGHT, MARGIN = 480, 320, 48
COLOURS = ("#2c6fbb", "#d1622b", "#2e8b57", "#8a4fbf", "#b0306a", "#7a6a00")


@dataclass(frozen=True)
class Point:
    """One scored run."""

    series: str
    inner_steps: int
    score: float
    """J&F, 0..1."""
    frames_per_second: float | None


def rate(
    *,
    weights: str,
    videos: tuple[Path, ...],
    held_out: tuple[str, ...],
    output: Path,
    inner_steps: int = 10,
    every: int = 1,
    device: str = "cpu",
) -> dict[float, float]:
    """Find the one learning rate that serves a parent network best, and store it with it.

    Args:
        weights: of a parent network (recipe eosvos-parent or eosvos-small-parent).
        videos: folders of training videos.
        held_out: those of them to search with; not the ones to be reported on.
        output: weights with the best rate.
        inner_steps: fine-tuning steps on each first frame.
        every: score every so many frames.
        device: where to compute.

    Returns:
        mean J by rate.
    """
    read = read_weights(weights)
    config = config_from_dict(EOSVOSConfig, read.config)
    learned = learned_start_of(build_network(config.network), level=config.rate_level)
    learned.load_tensors({name: value.float() for name, value in read.tensors.items()})
    opened = open_tasks(TaskDataConfig(videos=videos, held_out=held_out, all_objects_as_one=True))
    validation = ValidationConfig(inner_steps=inner_steps, every=every)
    found = search_rate(config, learned.to(torch.device(device)), opened.held_out, validation)
    best = max(found, key=lambda value: found[value])
    learned.stored_rates[0].data.fill_(best)
    write_weights(
        output,
        method="eosvos",
        config=read.config,
        tensors={name: value.cpu() for name, value in learned.state_dict().items()},
        card={**read.card, "grid_search": {f"{value:.2e}": j for value, j in found.items()}},
    )
    for value, j in found.items():
        print(f"{value:.1e}  J {j:.3f}{'  best' if value == best else ''}")
    return found


def figures(runs: Positional[tuple[Path, ...]], *, output: Path) -> list[Path]:
    """Draw J&F over the number of inner steps, and over frames per second, as SVG.

    Args:
        runs: folders of ``maskcast evaluate`` on one data set; runs whose options differ in
            inner_steps alone make one curve.
        output: folder for ``j-and-f-over-steps.svg`` and ``j-and-f-over-speed.svg``.

    Raises:
        MissingFileError, DataError: a run has no scores, or none of its own speed.
        UsageError: no run is given.
    """
    if not runs:
        raise UsageError("give the folders of finished runs of maskcast evaluate")
    points = [read_point(run) for run in runs]
    timed = [point for point in points if point.frames_per_second]
    pictures = {
        "j-and-f-over-steps.svg": chart(
            points, [float(p.inner_steps) for p in points], "inner steps"
        ),
        "j-and-f-over-speed.svg": chart(
            timed,
            [p.frames_per_second or 0.0 for p in timed],
            "frames per second",
            logarithmic=True,
        ),
    }
    for name, picture in pictures.items():
        write_text(output / name, picture)
    return [output / name for name in pictures]


def read_point(run: Path) -> Point:
    """Read what a run was asked for and how it scored.

    Raises:
        DataError: the scores do not say what was run.
    """
    tree = read_scores(run).tree
    try:
        request: Mapping[str, Any] = tree["run"]
        options = dict(request["options"])
        steps = int(options.pop("inner_steps", EOSVOSConfig().inner_steps))
        speed = tree["speed"]["model_frames_per_second"]
        score = float(tree["dataset"]["J&F"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run} does not say how it was made; use maskcast evaluate") from error
    named = [f"{name}={value}" for name, value in sorted(options.items())]
    series = " ".join([str(request.get("weights") or request["method"]), *named])
    return Point(series, steps, score, speed)


def chart(
    points: Sequence[Point], places: Sequence[float], axis: str, *, logarithmic: bool = False
) -> str:
    """Return an SVG: one line per series, a dot and its number of steps per run."""
    across = [log10(max(x, 1e-6)) if logarithmic else x for x in places]
    low, high = min(across, default=0.0), max(across, default=1.0)
    span = (high - low) or 1.0
    lines = []
    for number, series in enumerate(dict.fromkeys(point.series for point in points)):
        colour = COLOURS[number % len(COLOURS)]
        dots = sorted(
            (
                MARGIN + (x - low) / span * (WIDTH - 2 * MARGIN),
                HEIGHT - MARGIN - point.score * (HEIGHT - 2 * MARGIN),
                point.inner_steps,
            )
            for point, x in zip(points, across, strict=True)
            if point.series == series
        )
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        lines += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            f'<text x="{x + 5:.1f}" y="{y - 5:.1f}">{steps}</text>'
            for x, y, steps in dots
        ]
        lines.append(
            f'<text x="{MARGIN}" y="{16 + 13 * number}" fill="{colour}">{escape(series)}</text>'
        )
    return _svg([*_axes(axis, low, high, logarithmic=logarithmic), *lines])


def _axes(axis: str, low: float, high: float, *, logarithmic: bool) -> list[str]:
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN
    ends = [10**low, 10**high] if logarithmic else [low, high]
    lines = [
        f'<path d="M{MARGIN},{MARGIN} V{bottom} H{right}" fill="none" stroke="black"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{axis}</text>',
        f'<text x="{MARGIN}" y="{bottom + 16}">{ends[0]:.3g}</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{ends[1]:.3g}</text>',
    ]
    for score in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - score * (HEIGHT - 2 * MARGIN)
        lines.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{score:g}</text>')
    return lines


def _svg(lines: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            ' font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            *lines,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"rate": rate, "figures": figures})
