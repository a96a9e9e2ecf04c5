"""Print scores as tables on the terminal, in per cent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskcast.cli.terminal import one_line
from maskcast.core.numbers import counted
from maskcast.evaluation.correction_curve import GOAL, CorrectionCurve
from maskcast.evaluation.corrections import NEXT_FRAMES
from maskcast.evaluation.scores import Scores, per_cent

MOST_VIDEOS = 40
"""Videos in a table; of more than that, only the worst are shown. The files hold all."""


def print_scores(scores: Scores) -> None:
    """Print one row for each video, one for the whole data set, and notes about frames and ids."""
    protocol = scores.tree["protocol"]
    if protocol["dataset"] == "folder":
        title = f"own data: {counted(len(scores.videos), 'video')}"
    else:
        title = f"{protocol['dataset']} {protocol['split']}, rules of {protocol['name']}"
    has_variation = "V" in scores.dataset
    table = Table(title=title, title_justify="left")
    table.add_column("")
    names = ["J&F", "J mean", "recall", "decay", "F mean", "recall", "decay"]
    for name in [*names, *(["V"] if has_variation else [])]:
        table.add_column(name, justify="right")
    for name, entry in _rows(scores):
        table.add_row(Text(one_line(name)), *_cells(entry, has_variation))
    table.add_section()
    table.add_row("all", *_cells(scores.dataset, has_variation), style="bold")
    Console().print(table)
    print(_frames_that_count(protocol))
    for line in scores.tree.get("exchanged_ids", []):
        print(one_line(line))


def print_corrections(curve: CorrectionCurve) -> None:
    """Print the scores after every number of corrections, and what one correction gains."""
    table = Table(title="after corrected frames per video", title_justify="left")
    for name in ("corrections", "J&F", "J mean", "F mean"):
        table.add_column(name, justify="right")
    for count, score in enumerate(curve.scores):
        figures = ((score.J + score.F) / 2, score.J, score.F)
        table.add_row(str(count), *(per_cent(value) for value in figures))
    Console().print(table)
    if curve.mean_next is not None:
        before, after = (per_cent(value) for value in curve.mean_next)
        print(f"J over the {NEXT_FRAMES} frames after the first correction: {before} -> {after}")
    counts = [count for count in curve.corrections_until_goal if count is not None]
    print(
        f"{len(counts)} of {counted(len(curve.corrections_until_goal), 'video')} reach a J&F of "
        f"{per_cent(GOAL)}"
        + (f", after {sum(counts) / len(counts):.1f} corrections on average" * bool(counts))
    )


def _rows(scores: Scores) -> Iterator[tuple[str, Mapping[str, Any]]]:
    videos = dict(scores.videos)
    if len(videos) > MOST_VIDEOS:
        worst = sorted(videos, key=lambda name: videos[name]["J&F"])[:MOST_VIDEOS]
        videos = {name: videos[name] for name in worst}
    yield from videos.items()
    yield from scores.dataset.get("groups", {}).items()


def _frames_that_count(protocol: Mapping[str, Any]) -> str:
    """Say which annotated frames of an object count, and which options change that."""
    skipped = [
        *(["its first one, whose mask is given"] if protocol.get("skip_first") else []),
        *(["the last one"] if protocol.get("skip_last") else []),
    ]
    rest = f" but {', and '.join(skipped)}"
    if not skipped:
        rest = "; score --skip-first leaves out the first one of each object"
    return f"frames of an object that count: all annotated ones{rest}"


def _cells(entry: Mapping[str, Any], has_variation: bool) -> list[str]:
    figures = [entry["J&F"]]
    figures += [entry[m][s] for m in ("J", "F") for s in ("mean", "recall", "decay")]
    return [per_cent(value) for value in figures + ([entry.get("V")] if has_variation else [])]
