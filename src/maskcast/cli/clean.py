"""``maskcast clean``: free the room that a run needs only to be resumed, corrected or undone."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from maskcast.cli.terminal import in_bytes, say
from maskcast.core.errors import UsageError


def clean(run: Positional[Path], *, dry_run: bool = False) -> None:
    """Delete the saved states of a run, and what edits have set aside.

    Masks, exports and the run card stay. Before anything is deleted, the command says what can then
    no longer be resumed or undone.

    Args:
        run: a run folder of segment.
        dry_run: only say what would be deleted.
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
