"""``maskcast clean``: delete what a run keeps only for resuming, correcting and undoing."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from maskcast.cli.terminal import in_bytes, say
from maskcast.core.errors import UsageError


def clean(run: Positional[Path], *, dry_run: bool = False) -> None:
    """Delete the saved states of a run and the results that edits have set aside.

    Masks, exports and run.json stay. Before anything is deleted, the command lists what can no
    longer be resumed or undone afterwards.

    Args:
        run: a run folder written by maskcast segment.
        dry_run: list what would be lost, but delete nothing.
    """
    from maskcast.core.files import alone_in
    from maskcast.runs.card import read_card
    from maskcast.runs.occupied import delete_states, lost_by_cleaning, occupied

    card = read_card(run)
    if card is None:
        raise UsageError(f"{run} is not a run folder: it has no run.json", options=("run",))
    with alone_in(run):
        room = occupied(run)
        for line in lost_by_cleaning(card, room):
            say(line)
        if not dry_run:
            delete_states(run)
    freed = in_bytes(room.states + room.aside)
    print(f"{run}: {freed} {'would be freed' if dry_run else 'freed'}")
