"""One HTML page that compares scored runs; it needs no other file and no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from maskcast.core.errors import DataError, MaskcastError, UsageError
from maskcast.evaluation.charts import colour_of_run, curves, intervals, signed
from maskcast.evaluation.published import PublishedRow, figures_of, published_rows
from maskcast.evaluation.run import MASKS
from maskcast.evaluation.scores import Scores, Tree, per_cent, read_scores
from maskcast.evaluation.worst_frames import WorstFrame, worst_frames
from maskcast.io.files import write_text
from maskcast.metrics.bootstrap import FEW, Interval, block_length, paired_interval

MOST_CURVES = 60
"""Objects drawn; of a larger set the worst ones."""


@dataclass(frozen=True)
class Run:
    """One scored run, as the page names it."""

    name: str
    scores: Scores
    masks: Path
    """Where its predictions are, or were."""


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read the runs of a report.

    Raises:
        MissingFileError, DataError: a ``scores.json`` is missing or damaged.
        UsageError: the runs are of different data sets.
    """
    runs = []
    names = _distinct(paths)
    for name, path in zip(names, paths, strict=True):
        scores = read_scores(path)
        folder = path if path.is_dir() else path.parent
        masks = folder / MASKS if (folder / MASKS).is_dir() else Path(scores.tree["results"])
        runs.append(Run(name, scores, masks))
    kinds = {_kind(run.scores) for run in runs}
    if len(kinds) > 1:
        raise UsageError(f"these runs are of different data sets: {', '.join(sorted(kinds))}")
    return runs


def write_report(runs: Sequence[Run], output: Path, *, root: Path | None = None) -> list[str]:
    """Write the page; return what it had to leave out, as sentences.

    Args:
        runs: of one data set and split; the first is what the others are compared with.
        output: the HTML file.
        root: of the data set, if it is elsewhere than when it was scored.

    Raises:
        DataError: there is no run, or no object in one.
        OutputError: the file cannot be written.
    """
    if not runs or not all(run.scores.objects for run in runs):
        raise DataError("a report needs at least one run with scored objects")
    left_out: list[str] = []
    parts = [_head(runs), _table(runs), *_comparisons(runs), _curves(runs)]
    for run in runs:
        try:
            shown = list(worst_frames(run.scores, run.masks, root))
        except MaskcastError as error:
            left_out.append(f"no pictures of {run.name}: {error}")
            continue
        parts.append(_worst(run, shown))
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    title = escape(f"{_kind(runs[0].scores)}: {', '.join(run.name for run in runs)}")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    write_text(output, page)
    return left_out


def video_differences(one: Scores, other: Scores) -> dict[str, Interval]:
    """Return for each common video how much J&F ``other`` has more than ``one``.

    Frames are drawn in blocks, as neighbours fail together.
    """
    found = {}
    for video in one.videos:
        if video in other.videos:
            before, after = _overall_per_frame(one, video), _overall_per_frame(other, video)
            frames = sorted(set(before) & set(after))
            if frames:
                per_frame = np.array([after[f] - before[f] for f in frames], np.float64)
                found[video] = paired_interval(per_frame, block=block_length(per_frame.size))
    return found


def total_difference(one: Scores, other: Scores) -> Interval | None:
    """Return the difference over videos, each weighing the same; None without a common one."""
    common = [video for video in one.videos if video in other.videos]
    if not common:
        return None
    values = [other.videos[video]["J&F"] - one.videos[video]["J&F"] for video in common]
    return paired_interval(np.array(values, np.float64))


def _head(runs: Sequence[Run]) -> str:
    count = len(runs[0].scores.videos)
    rules = runs[0].scores.tree["protocol"]
    notes = []
    for run in runs:
        tree = run.scores.tree
        counts = [(tree[kind], kind.replace("_", " ")) for kind in ("missing", "faults")]
        said = [f"{len(entries)} {word}" for entries, word in counts if entries]
        if tree["extra_objects"]:
            said.append(f"{len(tree['extra_objects'])} ids unknown to the truth")
        if said:
            notes.append(f"{run.name}: {', '.join(said)} (see its scores.json)")
    warning = "".join(f'<p class="warning">{escape(note)}</p>' for note in notes)
    return (
        f"<h1>{escape(_kind(runs[0].scores))}</h1>"
        f"<p>{count} videos, {len(runs[0].scores.objects)} objects, scored by the rules of "
        f"{escape(rules['name'])}. Figures are per cent.</p>{warning}"
    )


COLUMNS = ("J&F", "J", "J recall", "J decay", "F", "F recall", "F decay")
GROUP_COLUMNS = ("G", "J seen", "J unseen", "F seen", "F unseen")


def _table(runs: Sequence[Run]) -> str:
    columns = list(COLUMNS)
    if runs[0].scores.dataset.get("groups"):
        columns = [*GROUP_COLUMNS, *columns]
    rules = runs[0].scores.tree["protocol"]
    published = published_rows(rules["dataset"], rules["split"])
    papers = list(dict.fromkeys(row.paper for row in published))
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = [_run_row(index, run, columns) for index, run in enumerate(runs)]
    printed = [_published_row(row, columns, runs, papers.index(row.paper)) for row in published]
    note = ""
    videos = len(runs[0].scores.videos)
    if published and videos != published[0].videos:
        note = (
            f'<p class="warning">The published figures are of all {published[0].videos} videos '
            f"of the split; these runs have {videos}. They cannot be compared directly.</p>"
        )
    sources = "".join(f"<li>{escape(paper)}</li>" for paper in papers)
    return (
        "<h2>Runs and published figures</h2>"
        f'{note}<div class="wide"><table><thead><tr><th></th>{head}<th>frames/s</th>'
        f'<th class="source">made with, or source</th><th class="source">here</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody>"
        f'<tbody class="published">{"".join(printed)}</tbody></table></div>'
        + (f'<ol class="sources">{sources}</ol>' if papers else "")
    )


def _run_row(index: int, run: Run, columns: Sequence[str]) -> str:
    figures = figures_of(run.scores.dataset)
    cells = "".join(f"<td>{per_cent(figures.get(column))}</td>" for column in columns)
    speed = run.scores.tree.get("speed", {}).get("end_to_end_frames_per_second")
    shown = "" if speed is None else f"{speed:.2f}"
    made = run.scores.tree.get("run", {})
    words = [str(made[key]) for key in ("method", "weights", "init") if made.get(key)]
    words = words or [f"masks in {Path(run.scores.tree['results']).name}"]
    return (
        f"<tr><td>{_swatch(index)}{escape(run.name)}</td>{cells}<td>{shown}</td>"
        f'<td class="source">{escape(", ".join(words))}</td><td></td></tr>'
    )


def _published_row(
    row: PublishedRow, columns: Sequence[str], runs: Sequence[Run], paper: int
) -> str:
    """A row of a paper; its last cell has the runs with the authors' own weights and settings."""
    cells = "".join(
        f"<td>{f'{row.figures[column]:.1f}' if column in row.figures else '–'}</td>"
        for column in columns
    )
    headline = next(iter(row.figures))
    own = "".join(
        f"{_swatch(index)}{escape(headline)} {per_cent(figures_of(run.scores.dataset)[headline])} "
        for index, run in enumerate(runs)
        if row.is_reproduced_by(run.scores)
    )
    return (
        f"<tr><td>{escape(row.name)}</td>{cells}<td></td>"
        f'<td class="source" title="{escape(row.place)}">[{paper + 1}] '
        f'{escape(row.place.split(";")[0])}</td><td class="source">{own}</td></tr>'
    )


def _swatch(index: int) -> str:
    return f'<span class="swatch" style="background:{colour_of_run(index)}"></span>'


def _comparisons(runs: Sequence[Run]) -> Iterator[str]:
    first, *others = runs
    for other in others:
        total = total_difference(first.scores, other.scores)
        if total is None:
            continue
        differences = video_differences(first.scores, other.scores)
        ranked = dict(sorted(differences.items(), key=lambda item: item[1].mean))
        few = (
            f'<p class="warning">{len(ranked)} videos are a small sample: the interval over '
            "videos is narrower than it should be, and another choice of videos may turn the "
            "order around.</p>"
            if len(ranked) < FEW
            else ""
        )
        mean, low, high = (signed(100 * v, 2) for v in (total.mean, total.low, total.high))
        verdict = "" if total.is_clear else " Zero lies inside: the order is open."
        yield (
            f"<h2>{escape(other.name)} against {escape(first.name)}</h2>"
            f"<p>J&amp;F differs by {mean} points on average over videos "
            f"(95 % paired bootstrap interval {low} to {high})."
            f"{verdict} Below, each video with an interval from its frames, drawn in blocks; blue "
            f"ones exclude zero.</p>{few}"
            f'<div class="differences">{intervals(ranked)}</div>'
        )


def _curves(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(name for run in runs for name in run.scores.objects))

    def lowest(name: str) -> float:
        entries = [run.scores.objects[name] for run in runs if name in run.scores.objects]
        return min(float(entry["J&F"]) for entry in entries)

    ranked = sorted(names, key=lowest)
    shown = ranked[:MOST_CURVES]
    figures = "".join(_curve(name, runs) for name in shown)
    legend = "".join(
        f"{_swatch(index)}{escape(run.name)} &nbsp; " for index, run in enumerate(runs)
    )
    rest = f" The {len(shown)} worst of {len(ranked)}." if len(shown) < len(ranked) else ""
    return (
        "<h2>Every object over time</h2>"
        f"<p>J solid, F dashed; worst object first.{rest}</p><p>{legend}</p>"
        f'<div class="grid-of-curves">{figures}</div>'
    )


def _curve(name: str, runs: Sequence[Run]) -> str:
    there = {run.name: run.scores.objects.get(name) for run in runs}
    frames = sorted({f for entry in there.values() if entry for f in entry["per_frame"]["names"]})
    values = {run: _aligned(entry, frames) for run, entry in there.items()}
    figures = [per_cent(entry["J&F"]) if entry else "–" for entry in there.values()]
    caption = f"{escape(name)} · J&amp;F {' / '.join(figures)}"
    return f"<figure>{curves(frames, values)}<figcaption>{caption}</figcaption></figure>"


def _aligned(entry: Tree | None, frames: Sequence[str]) -> dict[str, list[float]]:
    if entry is None:
        return {measure: [math.nan] * len(frames) for measure in ("J", "F")}
    per_frame = entry["per_frame"]
    aligned = {}
    for measure in ("J", "F"):
        by_name = dict(zip(per_frame["names"], per_frame[measure], strict=True))
        aligned[measure] = [by_name.get(frame, math.nan) for frame in frames]
    return aligned


def _worst(run: Run, shown: Sequence[WorstFrame]) -> str:
    figures = []
    for each in shown:
        words = ("image", "truth", "prediction")
        pictures = "".join(
            f'<img src="{source}" alt="{escape(each.object_name)}, {word}">'
            for source, word in zip(each.pictures, words, strict=True)
        )
        figures.append(
            f'<figure><div class="worst">{pictures}</div><figcaption>'
            f"{escape(each.object_name)}, frame {escape(each.frame_name)}: "
            f"J {per_cent(each.J)}, F {per_cent(each.F)}</figcaption></figure>"
        )
    return (
        f"<h2>Worst objects of {escape(run.name)}</h2>"
        f"<p>Image, truth, prediction; lowest J&amp;F first.</p>{''.join(figures)}"
    )


def _overall_per_frame(scores: Scores, video: str) -> dict[str, float]:
    """Return (J + F) / 2 for each frame of a video, averaged over the objects that count there."""
    collected: dict[str, list[float]] = {}
    for name in scores.videos[video]["objects"]:
        per_frame = scores.objects[name]["per_frame"]
        for frame, J, F in zip(per_frame["names"], per_frame["J"], per_frame["F"], strict=True):
            collected.setdefault(frame, []).append((J + F) / 2)
    return {frame: float(np.mean(values)) for frame, values in collected.items()}


def _kind(scores: Scores) -> str:
    rules = scores.tree["protocol"]
    return f"{rules['dataset']} {rules['split']}"


def _distinct(paths: Sequence[Path]) -> list[str]:
    """Name runs by their folder; by the whole path where two folders share a name."""
    names = [path.name if path.is_dir() else path.parent.name for path in map(Path.absolute, paths)]
    if len(set(names)) < len(names):
        return [str(path) for path in paths]
    return names
