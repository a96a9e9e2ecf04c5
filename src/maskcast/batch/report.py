"""Render the report of a batch as one HTML page without scripts. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from maskcast.batch.figures import in_hours, named_figures
from maskcast.batch.totals import BatchTotals, VideoMark
from maskcast.viz.pages import page_style
from maskcast.viz.plots import Axis, line, polyline, svg, text

EXAMPLES = 5
"""Number of failed videos named for each reason."""
MOST_SENTENCES = 50
WIDTH, HEIGHT = 720.0, 180.0
"""Size of the plot in SVG units."""


@dataclass(frozen=True)
class FailureGroup:
    """Failed videos with the same reason."""

    kind: str
    sentence: str
    count: int
    examples: Sequence[str]


def render_report(totals: BatchTotals) -> str:
    """Return the page; everything that comes from manifests and messages is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["hours"] = in_hours
    page = files(__package__).joinpath("report.html")
    template = environment.from_string(page.read_text("utf-8"))
    return template.render(
        style=page_style(__package__, "report.css"),
        figures=named_figures(totals),
        curve=_curve(totals),
        groups=failure_groups(totals),
        kinds=dict(totals.kinds),
        machines=totals.machines,
        workers=totals.workers,
        lists=_lists(totals),
        changed=sorted(totals.changed)[:EXAMPLES],
        changed_count=len(totals.changed),
        stopped=[call.sentence for call in totals.calls.values() if call.sentence],
    )


def failure_groups(totals: BatchTotals) -> list[FailureGroup]:
    """Return the failed videos by reason, the commonest first.

    Ids inside a reason are replaced, so that equal reasons of different videos are one group.
    """
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for job_id, video in totals.failed.items():
        names = sorted({str(video.row.get("video", "")), job_id} - {""}, key=len, reverse=True)
        sentence = video.sentence
        for name in names:
            sentence = sentence.replace(name, "…")
        by_reason[video.kind, sentence].append(job_id)
    groups = [
        FailureGroup(kind, sentence, len(ids), ids[:EXAMPLES])
        for (kind, sentence), ids in by_reason.items()
    ]
    return sorted(groups, key=lambda group: -group.count)[:MOST_SENTENCES]


def _lists(totals: BatchTotals) -> Mapping[str, Sequence[tuple[str, str, str]]]:
    """Return the lists of videos, each with rows of id, figure and note."""
    slowest = [(mark.job_id, f"{mark.value:.1f} s", mark.note) for mark in _largest(totals.slowest)]
    uncertain = [(mark.job_id, f"{-mark.value:.2f}", "") for mark in _largest(totals.least_certain)]
    vanishing = [
        (mark.job_id, f"{mark.value:.0f}", mark.note) for mark in _largest(totals.vanishing)
    ]
    return {
        "Lowest confidence of an object in a frame": uncertain,
        "Frames in which an object has no pixel": vanishing,
        "Longest work": slowest,
    }


def _largest(marks: Sequence[VideoMark]) -> list[VideoMark]:
    return sorted(marks, reverse=True)


def _curve(totals: BatchTotals) -> Markup:
    """Draw the number of finished videos over time."""
    points = totals.curve
    if len(points) < 2:
        return Markup("")
    began, ended = points[0][0], points[-1][0]
    across = Axis(began, ended, 46, WIDTH - 8)
    up = Axis(0, points[-1][1], HEIGHT - 24, 12)
    content = line((46, up.at(0)), (WIDTH - 8, up.at(0)), class_="axis")
    content += line((46, 12), (WIDTH - 8, 12), class_="grid")
    content += polyline([(across.at(at), up.at(count)) for at, count in points], class_="curve")
    content += across.end_labels(HEIGHT - 6, ("start", in_hours(ended - began)))
    content += up.value_label(40, points[-1][1], str(points[-1][1])) + up.value_label(40, 0, "0")
    content += text(WIDTH / 2, HEIGHT - 6, "time of work", text_anchor="middle")
    return svg(WIDTH, HEIGHT, content, role="img", aria_label="finished videos over time")
