"""Upgrade a run folder of version 0.1 to format 2 by adding digests to log entries and states.

Version 0.1 wrote no digests. Its folder is taken to hold results of the request on its run card.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from maskcast.core.errors import StateError
from maskcast.core.files import replacing
from maskcast.core.state import DIGEST
from maskcast.core.strict_json import parse_json
from maskcast.runs.card import FORMAT
from maskcast.runs.folder import RunFolder
from maskcast.runs.frame_log import LogEntry
from maskcast.runs.states import SavedStates

LONGEST_HEADER = 100_000_000
"""Largest header in bytes that safetensors accepts."""


def upgrade(run: RunFolder) -> None:
    """Give all results in a folder of version 0.1 the digests of the request on its run card.

    The run card is written last, so that an interrupted upgrade is started again.

    Raises:
        OutputError: a file cannot be written.
    """
    first = {i: frame for i, (frame, _) in run.card.request.first_prompts().items()}
    entries = run.log.by_frame()
    if any(entry.digest is None for entry in entries.values()):
        run.log.replace(_with_digests(run, entries[f], first) for f in sorted(entries))
    for states in (run.states, run.states_backward):
        _add_digests(states)
    run.update(format=FORMAT)


def _with_digests(run: RunFolder, entry: LogEntry, first: dict[int, int]) -> LogEntry:
    """Return an entry with digests.

    Version 0.1 logged an object before its first prompt only if the backward pass filled it in.
    """
    if entry.digest is not None:
        return entry
    filled = tuple(i for i in entry.objects if first.get(i, -1) > entry.frame)
    return replace(
        entry,
        digest=run.identity.of_frame(entry.frame),
        backward=run.identity.backward if filled else None,
        filled=filled,
    )


def _add_digests(states: SavedStates) -> None:
    for number in states.numbers():
        if states.digest(number) is None:
            try:
                add_digest(states.path(number), states.expected_digest(number))
            except StateError:
                states.remove(number)


def add_digest(path: Path, digest: str) -> None:
    """Write a digest into a saved state that has none, and leave the rest of it unchanged.

    Raises:
        StateError: the state is damaged.
        OutputError: the state cannot be written.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LONGEST_HEADER:
                raise ValueError("its header is too long")
            header = parse_json(file.read(length))
            header["__metadata__"][DIGEST] = digest
            text = json.dumps(header).encode()
            text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8 bytes
            with replacing(path, sync=True) as temporary, temporary.open("wb") as written:
                written.write(len(text).to_bytes(8, "little") + text)
                shutil.copyfileobj(file, written)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise StateError(f"{path} is not a readable saved state: {error}") from error
