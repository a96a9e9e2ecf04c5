"""Describe and check a folder of exported graphs, for ``maskcast info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskcast.core.config import in_words
from maskcast.core.errors import DataError, UsageError
from maskcast.core.files import with_home
from maskcast.methods.exported import CARD, ExportedGraphs, read_card


def describe_graphs(folder: Path) -> Iterator[str]:
    """Yield lines about the card of a folder of exported graphs.

    Raises:
        DataError: the card is damaged.
    """
    card = read_card(folder)
    yield f"graphs    {card['form']}, method {card['method']}"
    yield f"weights   {card['weights']['name']}, sha256 {card['weights']['sha256']}"
    yield f"licence   {card['licence']}"
    if card["frame_size"]:
        yield f"size      frames of {'×'.join(map(str, card['frame_size']))}"
    for about in card["graphs"].values():
        inputs = ", ".join(
            f"{key} {'×'.join(map(str, spec['shape']))}" for key, spec in about["inputs"].items()
        )
        yield f"graph     {about['file']}: {inputs} -> {', '.join(about['outputs'])}"
    yield f"made with {in_words({**card['versions'], **card['surroundings']})}"


def is_graphs_folder(path: Path) -> bool:
    """Return whether a path is a folder with the card of an export."""
    return (path / CARD).is_file()


def check_graphs(what: str, *, trust_code: bool = False) -> Iterator[str]:
    """Run the check of a folder of exported graphs, and yield lines about the results.

    Args:
        what: path of the folder.
        trust_code: whether code in the folder may run; see ``ExportedGraphs``.

    Raises:
        UsageError: ``what`` is not such a folder, the form requires ``trust_code``, or the graphs
            do not fit this machine.
        DataError: a file is damaged, or a result differs from that of the export.
    """
    folder = with_home(what)
    if not is_graphs_folder(folder):
        raise UsageError(f"{what} is not a folder of exported graphs", options=("check",))
    deviations = ExportedGraphs(folder, trust_code=trust_code).check()
    for one in deviations:
        yield f"check     {one.graph}/{one.output}: {one.relative:.1e} of the largest value"
    if large := [f"{one.graph}/{one.output}" for one in deviations if not one.is_small]:
        raise DataError.listing("results differ from those of the export", large)
