"""Table 1 and the two figures of the paper: the grid search, and curves from finished runs.

    python -m maskcast.methods.eosvos.training.ladder rate --weights FILE --videos FOLDER …
    python -m maskcast.methods.eosvos.training.ladder figures RUN… --output FOLDER

A run is a folder of ``maskcast evaluate``; its options say how many inner steps it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from maskcast.core.config import config_from_dict
from maskcast.core.device import choose_device
from maskcast.core.device_names import DeviceName
from maskcast.core.errors import DataError, UsageError
from maskcast.evaluation.charts import colour_of_run
from maskcast.evaluation.scores import read_scores
from maskcast.io.files import write_text
from maskcast.io.weights import read_weights, write_weights
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.training.config import TaskDataConfig, ValidationConfig
from maskcast.methods.eosvos.training.parent_training import search_rate
from maskcast.methods.eosvos.training.tasks import open_tasks

WIDTH, BOTTOM, LEFT, TOP, LINE = 480, 260, 52, 16, 14
"""Of the figures in pixels: width; axes from TOP to BOTTOM; a line of text below them."""


@dataclass(frozen=True)
class Point:
    """One scored run."""

    weights: str
    options: tuple[str, ...]
    """``name=value`` of all but the inner steps; runs of the same options are one curve."""
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
    device: DeviceName = "auto",
) -> dict[float, float]:
    """Find the one learning rate that serves a parent network best, and store it with it.

    Args:
        weights: of a parent network (recipe eosvos-parent or eosvos-small-parent).
        videos: folders of training videos.
        held_out: those of them to search with; not the ones to be reported on.
        output: weights with the best rate.
        inner_steps: fine-tuning steps on each first frame.
        every: score every so many frames.
        device: auto (an accelerator if there is one), cpu, cuda, a certain card (cuda:1) or mps.

    Returns:
        mean J by rate.
    """
    read = read_weights(weights)
    config = config_from_dict(EOSVOSConfig, read.config)
    learned = learned_start_of(ObjectNetwork(config.network), level=config.rate_level)
    learned.load_tensors({name: value.float() for name, value in read.tensors.items()})
    opened = open_tasks(TaskDataConfig(videos=videos, held_out=held_out, all_objects_as_one=True))
    validation = ValidationConfig(inner_steps=inner_steps, every=every)
    found = search_rate(config, learned.to(choose_device(device)), opened.held_out, validation)
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
        runs: folders of ``maskcast evaluate`` on one data set; runs of the same weights whose
            options differ in inner_steps alone make one curve.
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
    named = tuple(f"{name}={value}" for name, value in sorted(options.items()))
    weights = str(request.get("weights") or request["method"])
    return Point(_short(weights), named, steps, score, speed)


def _short(weights: str) -> str:
    """A name as it is; of a file its own name, or its folder's where that says more."""
    path = Path(weights)
    if path.suffix != ".safetensors":
        return weights
    return path.parent.name if path.stem in ("weights", "best") else path.stem


def chart(
    points: Sequence[Point], places: Sequence[float], axis: str, *, logarithmic: bool = False
) -> str:
    """Return an SVG: one line per series, a dot and its number of steps per run."""
    across = [log10(max(x, 1e-6)) if logarithmic else x for x in places]
    low, high = min(across, default=0.0), max(across, default=1.0)
    worst, best = _score_range(points)
    shared = set.intersection(*(set(point.options) for point in points)) if points else set()
    names = list(dict.fromkeys(_series(point) for point in points))
    lines = []
    for number, series in enumerate(names):
        colour = colour_of_run(number)
        dots = sorted(
            (
                LEFT + (x - low) / ((high - low) or 1.0) * (WIDTH - 2 * LEFT),
                BOTTOM - (point.score - worst) / (best - worst) * (BOTTOM - TOP),
                point.inner_steps,
            )
            for point, x in zip(points, across, strict=True)
            if _series(point) == series
        )
        lines += _curve(dots, colour)
        weights, options = series
        name = " ".join([weights, *(option for option in options if option not in shared)])
        lines.append(_text(LEFT, BOTTOM + (3 + number) * LINE, name, f'fill="{colour}"'))
    end = BOTTOM + (3 + len(names)) * LINE
    if shared:
        lines.append(_text(LEFT, end, f"all with {' '.join(sorted(shared))}"))
    axes = _axes(axis, [10**low, 10**high] if logarithmic else [low, high], [worst, best])
    return _svg([*axes, *lines], end + LINE)


def _series(point: Point) -> tuple[str, tuple[str, ...]]:
    return point.weights, point.options


def _score_range(points: Sequence[Point]) -> tuple[float, float]:
    """Multiples of 0.05 around all scores."""
    scores = [point.score for point in points] or [0.0]
    worst, best = floor(20 * min(scores)) / 20, ceil(20 * max(scores)) / 20
    return worst, max(best, worst + 0.05)


def _curve(dots: Sequence[tuple[float, float, int]], colour: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
    lines = [f'<polyline points="{path}" fill="none" stroke="{colour}"/>']
    for x, y, steps in dots:
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        lines.append(_text(x + 5, y - 5, str(steps)))
    return lines


def _axes(axis: str, ends: Sequence[float], scores: Sequence[float]) -> list[str]:
    right = WIDTH - LEFT
    lines = [
        f'<path d="M{LEFT},{TOP} V{BOTTOM} H{right}" fill="none" stroke="black"/>',
        _text(WIDTH / 2, BOTTOM + LINE, axis, 'text-anchor="middle"'),
        _text(LEFT, BOTTOM + LINE, f"{ends[0]:.3g}"),
        _text(right, BOTTOM + LINE, f"{ends[1]:.3g}", 'text-anchor="end"'),
        _text(LEFT - 6, (TOP + BOTTOM) / 2, "J&F", 'text-anchor="end"'),
    ]
    for y, score in zip((BOTTOM, TOP), scores, strict=True):
        lines.append(_text(LEFT - 6, y + 4, f"{score:.2f}", 'text-anchor="end"'))
    return lines


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _svg(lines: Sequence[str], height: int) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            ' font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            *lines,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"rate": rate, "figures": figures})
