"""The argument that names a data set; its help lists the entries of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

import tyro
from tyro.conf import Positional

from maskcast.data.catalogue import DATASETS, Benchmark

FOLDER = "folder"
_YOUR_OWN = f"; or {FOLDER}: your own videos, as VIDEO/frames and VIDEO/masks"


def names_of(wanted: Callable[[Benchmark], object] = lambda _: True) -> str:
    """Return the names of the wanted benchmarks as help text.

    If ``folder`` is among them, the text explains it.
    """
    names = [name for name, entry in DATASETS.items() if wanted(entry)]
    benchmarks = ", ".join(name for name in names if name != FOLDER)
    return benchmarks + (_YOUR_OWN if FOLDER in names else "") + "."


AnyDataset: TypeAlias = Annotated[Positional[str], tyro.conf.arg(help=names_of())]
ScoredDataset: TypeAlias = Annotated[
    Positional[str], tyro.conf.arg(help=names_of(lambda entry: entry.protocol))
]
SubmittedDataset: TypeAlias = Annotated[
    Positional[str | None],
    tyro.conf.arg(
        metavar="[DATASET]",
        help_behavior_hint="",
        help=names_of(lambda entry: entry.server_prefix is not None),
    ),
]
