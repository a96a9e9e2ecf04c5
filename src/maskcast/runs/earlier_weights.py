"""The weights and data type that a run began with, for commands that name none."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from maskcast.core.device_names import DtypeName
from maskcast.core.errors import DataError
from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import installed_weights
from maskcast.runs.card import read_card


def weights_begun_with(folder: Path, *, method: str | None = None) -> str | None:
    """Return the name of the installed weights that the run in a folder began with.

    The default weights change with versions of the package. Earlier ones stay in it under another
    name, or are the user's own. With this name, a run of an earlier version continues although no
    weights are named.

    Args:
        folder: a run folder, which may not exist.
        method: name of the method that the user chose, if any.

    Returns:
        None if there is no readable run card, or the run used another method or other weights.
    """
    try:
        card = read_card(folder)
    except DataError:  # the run itself reports it
        return None
    if card is None or method not in (None, card.request.method):
        return None
    for weights in installed_weights():
        may_be = weights.shipped or weights.name == card.request.weights
        if may_be and sha256_of(weights.path) == card.request.weights_sha256:
            return weights.name
    return None


def dtype_begun_with(folder: Path) -> DtypeName | None:
    """Return the data type that the run in a folder began with; float32 if its card names none.

    ``auto`` depends on the processor. With this name, a run continues on any machine.

    Args:
        folder: a run folder, which may not exist.

    Returns:
        None if there is no readable run card, or the card names another data type.
    """
    try:
        card = read_card(folder)
    except DataError:  # the run itself reports it
        return None
    if card is None:
        return None
    recorded = card.request.settings.get("dtype", "float32")
    return next((name for name in get_args(DtypeName) if name == recorded), None)
