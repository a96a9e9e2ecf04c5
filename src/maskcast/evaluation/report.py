"""Write a self-contained HTML page that compares scored runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from maskcast.core.errors import DataError, MaskcastError, UsageError
from maskcast.core.files import write_text
from maskcast.core.numbers import counted
from maskcast.evaluation.charts import curves, intervals, signed
from maskcast.evaluation.common_videos import common_videos, describe_missing, overall_on
from maskcast.evaluation.published import PublishedRow, figures_of, published_rows
from maskcast.evaluation.run import MASKS
from maskcast.evaluation.scores import Scores, Tree, per_cent, read_scores
from maskcast.evaluation.worst_frames import OBJECTS, WorstFrame, worst_frames
from maskcast.metrics.bootstrap import FEW, Interval, block_length, paired_interval
from maskcast.viz.pages import page_style
from maskcast.viz.plots import colour_of_series

NO_FIGURE = per_cent(None)
MOST_CURVES = 60
"""Maximum number of objects with curves; of more than that, the worst are shown."""


@dataclass(frozen=True)
class Run:
    """One scored run."""

    name: str
    """Name of the run on the page."""
    scores: Scores
    masks: Path
    """Folder of its predictions, which may no longer exist."""


def read_runs(paths: Sequence[Path], *, of_one_set: bool = True) -> list[Run]:
    """Read the runs of a report.

    Args:
        paths: folders of the runs, or their ``scores.json``.
        of_one_set: whether to reject runs of different data sets.

    Raises:
        MissingFileError, DataError: a ``scores.json`` is missing or damaged.
        UsageError: the runs belong to different data sets.
    """
    runs = []
    names = _distinct(paths)
    for name, path in zip(names, paths, strict=True):
        scores = read_scores(path)
        folder = path if path.is_dir() else path.parent
        masks = folder / MASKS if (folder / MASKS).is_dir() else Path(scores.tree["results"])
        runs.append(Run(name, scores, masks))
    kinds = {_kind(run.scores) for run in runs}
    if of_one_set and len(kinds) > 1:
        raise UsageError(f"the runs are of different data sets: {', '.join(sorted(kinds))}")
    return runs


def write_report(runs: Sequence[Run], output: Path, *, root: Path | None = None) -> list[str]:
    """Write the page, and return a line of text for each part that had to be left out.

    Args:
        runs: runs of one data set and split; the others are compared with the first one.
        output: the HTML file.
        root: folder of the data set, if it has moved since the runs were scored.

    Raises:
        DataError: there are no runs, or a run has no scored objects.
        OutputError: the file cannot be written.
    """
    if not runs or not all(run.scores.objects for run in runs):
        raise DataError("a report requires at least one run, and scored objects in every run")
    names = _worst_first(runs)
    worst, left_out = _worst(runs, root, names[:OBJECTS])
    columns = _columns(runs)
    speeds = any(run.scores.tree.get("speed") for run in runs)
    published = _published(runs, columns)
    page = template_of("report.html").render(
        style=page_style(__package__, "report.css"),
        kind=_kind(runs[0].scores),
        is_own=_is_own(runs[0].scores),
        extent=_extent(runs[0].scores),
        runs=runs,
        rules=runs[0].scores.tree["protocol"],
        notes=_notes(runs),
        columns=columns,
        rows=[_row(run, columns) for run in runs],
        published=published,
        has_speeds=speeds,
        has_reproduced=any(row["reproduced"] for row in published["rows"]),
        common=_common(runs),
        comparisons=list(_comparisons(runs)),
        objects=len(names),
        curves=[_curve(name, runs, worst) for name in names[:MOST_CURVES]],
        worst=worst,
    )
    write_text(output, page)
    return left_out


def video_differences(one: Scores, other: Scores) -> dict[str, Interval]:
    """Return the difference in J&F, ``other`` minus ``one``, of each common video.

    The intervals come from a block bootstrap over frames, because errors of neighbouring frames are
    correlated.
    """
    differences = {}
    for video in one.videos:
        if video in other.videos:
            before, after = _overall_per_frame(one, video), _overall_per_frame(other, video)
            frames = sorted(set(before) & set(after))
            if frames:
                per_frame = np.array([after[f] - before[f] for f in frames], np.float64)
                interval = paired_interval(per_frame, block=block_length(per_frame.size))
                differences[video] = interval
    return differences


def total_difference(one: Scores, other: Scores) -> Interval | None:
    """Return the mean difference in J&F over the common videos; None if there are none."""
    common = [video for video in one.videos if video in other.videos]
    if not common:
        return None
    values = [other.videos[video]["J&F"] - one.videos[video]["J&F"] for video in common]
    return paired_interval(np.array(values, np.float64))


def template_of(name: str) -> Template:
    """Return a template of this package; it escapes all text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["per_cent"] = per_cent
    environment.globals["colour"] = colour_of_series
    environment.globals["anchor_of"] = anchor_of
    return environment.from_string(files(__package__).joinpath(name).read_text("utf-8"))


def _notes(runs: Sequence[Run]) -> list[str]:
    """Return lines about videos that runs lack, and about problems in their predictions."""
    notes = describe_missing([run.name for run in runs], [run.scores for run in runs])
    for run in runs:
        tree = run.scores.tree
        counts = [(tree[kind], kind.replace("_", " ")) for kind in ("missing", "faults")]
        said = [f"{len(entries)} {word}" for entries, word in counts if entries]
        if tree["extra_objects"]:
            said.append(f"{len(tree['extra_objects'])} ids that are not in the ground truth")
        if said:
            notes.append(f"{run.name}: {', '.join(said)} (see its scores.json)")
    return notes


COLUMNS = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")
GROUP_COLUMNS = ("G", "J seen", "J unseen", "F seen", "F unseen")


def _columns(runs: Sequence[Run]) -> list[str]:
    """Return the columns in which at least one run has a figure."""
    grouped = any(run.scores.dataset.get("groups") for run in runs)
    figures = [figures_of(run.scores.dataset) for run in runs]
    return [
        column
        for column in (*(GROUP_COLUMNS if grouped else ()), *COLUMNS)
        if any(per_cent(of_run.get(column)) != NO_FIGURE for of_run in figures)
    ]


def _common(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Return J&F of each run on the common videos; None if all runs have the same videos."""
    scores = [run.scores for run in runs]
    videos = common_videos(scores)
    if not videos or all(len(run.videos) == len(videos) for run in scores):
        return None
    return {"videos": len(videos), "figures": [per_cent(overall_on(videos, s)) for s in scores]}


def _row(run: Run, columns: Sequence[str]) -> dict[str, Any]:
    figures = figures_of(run.scores.dataset)
    speed = run.scores.tree.get("speed", {}).get("end_to_end_frames_per_second")
    return {
        "name": run.name,
        "figures": [per_cent(figures.get(column)) for column in columns],
        "speed": "" if speed is None else f"{speed:.2f}",
        "made_with": made_with(run.scores),
    }


def made_with(scores: Scores) -> str:
    """Return method, weights and kind of prompt of a run, or else the folder of its masks."""
    made = scores.tree.get("run", {})
    words = [str(made[key]) for key in ("method", "weights", "init") if made.get(key)]
    return ", ".join(words or [f"masks in {Path(scores.tree['results']).name}"])


def _published(runs: Sequence[Run], columns: Sequence[str]) -> dict[str, Any]:
    """Return the published rows for the same split, numbered by paper."""
    rules, videos = runs[0].scores.tree["protocol"], len(runs[0].scores.videos)
    rows = published_rows(rules["dataset"], rules["split"])
    papers = list(dict.fromkeys(row.paper for row in rows))
    return {
        "papers": papers,
        "rows": [_published_row(row, columns, runs, papers.index(row.paper) + 1) for row in rows],
        "of_more_videos": (rows[0].videos, videos) if rows and rows[0].videos != videos else None,
    }


def _published_row(
    row: PublishedRow, columns: Sequence[str], runs: Sequence[Run], paper: int
) -> dict[str, Any]:
    """Return a published row for the template.

    ``reproduced`` lists the runs with the authors' weights and settings.
    """
    headline = next(iter(row.figures))
    return {
        "name": row.name,
        "figures": [
            f"{row.figures[column]:.1f}" if column in row.figures else "–" for column in columns
        ],
        "paper": paper,
        "table": row.table,
        "short_table": row.table.split(";")[0],
        "reproduced": [
            (index, f"{headline} {per_cent(figures_of(run.scores.dataset)[headline])}")
            for index, run in enumerate(runs)
            if row.is_reproduced_by(run.scores)
        ],
    }


def _comparisons(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    first, *others = runs
    for other in others:
        total = total_difference(first.scores, other.scores)
        if total is None:
            continue
        differences = video_differences(first.scores, other.scores)
        ranked = dict(sorted(differences.items(), key=lambda item: item[1].mean))
        mean, low, high = (signed(100 * v, 2) for v in (total.mean, total.low, total.high))
        yield {
            **{"first": first.name, "other": other.name, "mean": mean, "low": low, "high": high},
            "is_clear": total.is_clear,
            "videos": len(ranked),
            "is_small": len(ranked) < FEW,
            "chart": intervals(ranked),
        }


def _worst_first(runs: Sequence[Run]) -> list[str]:
    """Return the names of all objects, sorted by their lowest J&F in any run."""
    names = dict.fromkeys(name for run in runs for name in run.scores.objects)

    def lowest(name: str) -> float:
        entries = [run.scores.objects[name] for run in runs if name in run.scores.objects]
        return min(float(entry["J&F"]) for entry in entries)

    return sorted(names, key=lowest)


def _curve(
    name: str, runs: Sequence[Run], worst: Sequence[tuple[str, list[WorstFrame]]]
) -> dict[str, Any]:
    """Return the curves of an object, its figures, and links to its frames by run."""
    by_run = {run.name: run.scores.objects.get(name) for run in runs}
    frames = sorted({f for entry in by_run.values() if entry for f in entry["per_frame"]["names"]})
    values = {run: _aligned(entry, frames) for run, entry in by_run.items()}
    figures = [per_cent(entry["J&F"]) if entry else "–" for entry in by_run.values()]
    links = [
        (anchor_of(run, name), run)
        for run, frames_of_run in worst
        if any(frame.object_name == name for frame in frames_of_run)
    ]
    return {"name": name, "figures": figures, "chart": curves(frames, values), "links": links}


def anchor_of(run: str, name: str) -> str:
    """Return the address on the page of the first frame of an object in a run."""
    return quote(f"frames-{run}-{name}", safe="")


def _aligned(entry: Tree | None, frames: Sequence[str]) -> dict[str, list[float]]:
    if entry is None:
        return {measure: [math.nan] * len(frames) for measure in ("J", "F")}
    per_frame = entry["per_frame"]
    aligned = {}
    for measure in ("J", "F"):
        by_name = dict(zip(per_frame["names"], per_frame[measure], strict=True))
        aligned[measure] = [by_name.get(frame, math.nan) for frame in frames]
    return aligned


def _worst(
    runs: Sequence[Run], root: Path | None, names: Sequence[str]
) -> tuple[list[tuple[str, list[WorstFrame]]], list[str]]:
    """Return the worst frames by run, and a reason for each run whose frames cannot be shown."""
    shown, left_out = [], []
    for run in runs:
        try:
            shown.append((run.name, list(worst_frames(run.scores, run.masks, root, names=names))))
        except MaskcastError as error:
            left_out.append(
                f"no images of {run.name}: {'; '.join([error.summary, *error.details])}"
            )
    return shown, left_out


def _overall_per_frame(scores: Scores, video: str) -> dict[str, float]:
    """Return (J + F) / 2 of each frame of a video, averaged over the objects that count on it."""
    collected: dict[str, list[float]] = {}
    for name in scores.videos[video]["objects"]:
        per_frame = scores.objects[name]["per_frame"]
        for frame, J, F in zip(per_frame["names"], per_frame["J"], per_frame["F"], strict=True):
            collected.setdefault(frame, []).append((J + F) / 2)
    return {frame: float(np.mean(values)) for frame, values in collected.items()}


def _kind(scores: Scores) -> str:
    rules = scores.tree["protocol"]
    return "Own data" if _is_own(scores) else f"{rules['dataset']} {rules['split']}"


def _is_own(scores: Scores) -> bool:
    """Return whether the videos are a user's folder, not a benchmark."""
    return bool(scores.tree["protocol"]["dataset"] == "folder")


def _extent(scores: Scores) -> str:
    return f"{counted(len(scores.videos), 'video')}, {counted(len(scores.objects), 'object')}"


def _distinct(paths: Sequence[Path]) -> list[str]:
    """Name runs after their folders, or by their whole paths if two folders have the same name."""
    names = [path.name if path.is_dir() else path.parent.name for path in map(Path.absolute, paths)]
    if len(set(names)) < len(names):
        return [str(path) for path in paths]
    return names
