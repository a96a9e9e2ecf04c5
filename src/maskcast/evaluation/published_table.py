"""Update the table in a Markdown file that compares published figures with reproduced ones.

The table lies between two marker lines and is rewritten each time. Runs of ``maskcast evaluate``
with the authors' weights fill its last column; earlier entries are kept as long as the rest of the
row is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import write_text
from maskcast.evaluation.published import PublishedRow, figures_of, published_rows
from maskcast.evaluation.scores import Scores

BEGIN = "<!-- maskcast report --published FILE writes from here -->"
END = "<!-- to here -->"
COLUMNS = ("method", "data set (videos)", "source", "run with", "published", "here")
SHOWN_DIGITS = 8
"""Number of digits shown of the SHA-256 of the weights."""


def fill_published_table(path: Path, runs: Sequence[Scores] = ()) -> list[PublishedRow]:
    """Rewrite the table in a Markdown file, and return the rows that these runs filled.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file cannot be read, or lacks the two marker lines.
        OutputError: the file cannot be written.
    """
    before, table, after = _divided(path)
    kept = {tuple(cells[:-1]): cells[-1] for cells in map(_cells, table) if cells}
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    filled = []
    for row in published_rows():
        cells = _published_cells(row)
        figures = kept.get(cells, "")
        for scores in runs:
            if row.is_reproduced_by(scores):
                figures = own_figures(row, scores)
                filled.append(row)
        lines.append(_line([*cells, figures]))
    write_text(path, "\n".join([*before, BEGIN, "", *lines, "", END, *after]) + "\n")
    return filled


def own_figures(row: PublishedRow, scores: Scores) -> str:
    """Format a run's figures in the measures of a row, with the version and weights behind them."""
    figures = figures_of(scores.dataset)
    shown = _listed({name: f"{100 * figures[name]:.2f}" for name in row.figures})
    sha256 = str(scores.tree["run"]["weights_sha256"])[:SHOWN_DIGITS]
    return f"{shown} (maskcast {scores.tree['maskcast']}, weights {sha256}…)"


def printed_figures(row: PublishedRow) -> str:
    """Format a row's figures as the paper prints them, in per cent."""
    return _listed(row.figures)


def _divided(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Return the lines before the table, in it, and after it."""
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines.index(BEGIN) > lines.index(END):
        raise DataError(f"{path} has no place for the table; add the lines {BEGIN} and {END}")
    begin, end = lines.index(BEGIN), lines.index(END)
    return lines[:begin], lines[begin + 1 : end], lines[end + 1 :]


def _published_cells(row: PublishedRow) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.dataset} {row.split} ({row.videos})",
        ", ".join([*_short(row.paper), row.table]),
        f"`{row.command}`" if row.command else f"recipe `{PurePath(row.trained or '').name}`",
        printed_figures(row),
    )


def _short(paper: str) -> list[str]:
    """Return authors and venue of a citation, without the title."""
    parts = paper.split(", ")
    return list(dict.fromkeys([parts[0], parts[-1]]))


def _listed(figures: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []
