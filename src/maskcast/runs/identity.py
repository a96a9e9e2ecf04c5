"""Digests of everything that determines a result. A result is valid while its digest is current.

The digest of a frame covers the method, its weights and options, the settings that affect masks,
the input, and the prompts, absences, ends, swaps and merges up to that frame. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from itertools import groupby
from typing import Any

from maskcast.core.renames import shown_ids
from maskcast.runs.request import ADDABLE, FREE, RunRequest

DIGITS = 32
"""Hexadecimal digits of a digest."""


class RunIdentity:
    """The digests of one request.

    Attributes:
        backward: digest of the backward pass.
    """

    def __init__(self, request: RunRequest) -> None:
        self._box_start = request.box_start
        self._goes_backward = request.goes_backward
        self._renames = request.renames()
        request = request.as_tracked()
        base = digest_of(_base(request))
        self._changes, self._digests = [], [base]
        for frame_index, marks in groupby(request.marks(), key=lambda mark: mark[0]):
            here = [[object_id, self._value(value)] for _, object_id, value in marks]
            self._changes.append(frame_index)
            self._digests.append(digest_of([self._digests[-1], frame_index, here]))
        first = sorted(request.first_prompts().items())
        decisive: list[Any] = [base, [[i, at, self._value(v)] for i, (at, v) in first]]
        if absences := request.early_absences():
            decisive.append(absences)
        self.backward = digest_of(decisive)

    def of_frame(self, frame_index: int) -> str:
        """Return the digest of everything that determines the mask of a frame."""
        tracked, shown = self.of_tracking(frame_index), self.shown_ids(frame_index)
        return digest_of([tracked, sorted(shown.items())]) if shown else tracked

    def shown_ids(self, frame_index: int) -> dict[int, int]:
        """Return the ids under which a frame shows objects, where they are not the tracked ones."""
        return shown_ids(self._renames, frame_index) if self._renames else {}

    def of_tracking(self, frame_index: int) -> str:
        """Return the digest of everything that determines the state after a frame.

        Swaps and merges are not part of it, because the method goes on with its own ids.
        """
        return self._digests[bisect_right(self._changes, frame_index)]

    def of_results(self, count: int) -> str:
        """Return the digest of everything that determines the first ``count`` frames together."""
        backward = self.backward if self._goes_backward else None
        decisive: list[Any] = [self.of_tracking(max(count - 1, 0)), count, backward]
        renames = [
            (f, sorted(self._renames[f].items())) for f in sorted(self._renames) if f < count
        ]
        if renames:
            decisive.append(renames)
        return digest_of(decisive)

    def _value(self, mark: str) -> Any:
        """Return the value of a prompt; a box includes the weights that turn it into a mask."""
        return [mark, self._box_start] if mark.startswith("box ") else mark


def digest_of(content: Any) -> str:
    """Return the digest of a value that can be written as JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _base(request: RunRequest) -> dict[str, Any]:
    """Return everything that determines every mask; settings not given are left out."""
    free = {*FREE, *ADDABLE}
    return {
        "method": request.method,
        "weights": request.weights_sha256,
        "options": request.options,
        "settings": {
            name: value
            for name, value in request.settings.items()
            if name not in free and value is not None and value is not False
        },
        "input": request.input_sha256,
    }
