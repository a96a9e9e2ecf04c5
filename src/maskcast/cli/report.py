"""``maskcast report``: compare scored runs on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from maskcast.cli.arguments import shown_as
from maskcast.cli.terminal import say
from maskcast.core.errors import UsageError


def report(
    runs: Annotated[Positional[tuple[Path, ...]], shown_as("RUN …")],
    *,
    output: Annotated[Path, shown_as("FILE", None, short="-o")] = Path("report.html"),
    root: Annotated[Path | None, shown_as("FOLDER")] = None,
    published: Annotated[Path | None, shown_as("FILE")] = None,
) -> None:
    """Compare runs side by side, with published figures, in one HTML file.

    It shows J and F of every object over time, the differences between the first run and the
    others with bootstrap intervals, and the worst objects with image, truth and prediction.

        maskcast report runs/before runs/after -o compared.html

    Args:
        runs: folders that maskcast evaluate or maskcast score has written, of one data set.
        output: the HTML file; it needs no other file and no network.
        root: where the data set lies, if it has moved since the scoring.
        published: instead of a page, write the table of published figures in this Markdown file
            anew (docs/results.md), and into its last column the runs with the authors' weights.
    """
    from maskcast.core.files import check_writable
    from maskcast.evaluation.published_table import fill_published_table
    from maskcast.evaluation.report import read_runs, write_report
    from maskcast.evaluation.scores import read_scores

    if published is not None:
        filled = fill_published_table(published, [read_scores(run) for run in runs])
        print(f"{published}: filled in {len(filled)} of the published rows")
        return
    if not runs:
        raise UsageError("no runs given; maskcast evaluate and maskcast score write runs (RUN …)")
    check_writable(output.parent)
    for sentence in write_report(read_runs(runs), output, root=root):
        say(sentence)
    print(output)
