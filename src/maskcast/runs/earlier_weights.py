"""The weights that a run began with, for commands on which the user names none."""

from __future__ import annotations

from pathlib import Path

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
