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
    paper: Annotated[str | None, shown_as("METHOD")] = None,
    published: Annotated[Path | None, shown_as("FILE")] = None,
) -> None:
    """Compare runs side by side, and with published figures, in one HTML file.

    The page shows J and F of every object over time, the differences between the first run and the
    others with bootstrap intervals, and the worst objects with image, ground truth and prediction.

        maskcast report runs/before runs/after -o compared.html

    With --paper the page has every table of a method's paper, its figures beside those of the runs,
    and the commands for each:
        maskcast report runs/davis17 runs/davis16 --paper lwl -o lwl.html

    Args:
        runs: run folders of maskcast evaluate or maskcast score, all of one data set; with --paper
            of any, or none.
        output: the HTML file; it is self-contained and needs no network.
        root: folder of the data set, if it has moved since the runs were scored.
        paper: the tables and figures of a paper: lwl, agame or eosvos.
        published: instead of a page, update the table of published figures in this Markdown file
            (docs/results.md); runs with the authors' weights fill its last column.
    """
    from maskcast.core.files import check_writable
    from maskcast.evaluation.published_table import fill_published_table
    from maskcast.evaluation.report import read_runs, write_report
    from maskcast.evaluation.scores import read_scores

    if published is not None and paper is not None:
        raise UsageError("--paper and --published exclude each other")
    if published is not None:
        filled = fill_published_table(published, [read_scores(run) for run in runs])
        print(f"{published}: filled in {len(filled)} of the published rows")
        return
    if paper is not None:
        _write_paper(paper, runs, output, root)
        return
    if not runs:
        raise UsageError("no runs given; maskcast evaluate and maskcast score write runs (RUN …)")
    check_writable(output.parent)
    for sentence in write_report(read_runs(runs), output, root=root):
        say(sentence)
    print(output)


def _write_paper(paper: str, runs: tuple[Path, ...], output: Path, root: Path | None) -> None:
    from maskcast.core.files import check_writable
    from maskcast.evaluation.paper_page import write_paper_page
    from maskcast.evaluation.report import read_runs

    check_writable(output.parent)
    for sentence in write_paper_page(paper, read_runs(runs, of_one_set=False), output, root=root):
        say(sentence)
    print(output)
