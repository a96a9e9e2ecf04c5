"""Make a run folder match a request before new results are written.

A result matches if its digest equals the one that the request determines for it
(``runs.identity``). Other results are set aside or deleted; results that were set aside earlier and
match again are restored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from maskcast.core.errors import DataError
from maskcast.core.progress import Progress
from maskcast.core.renames import change_of_ids
from maskcast.runs.aside import Aside
from maskcast.runs.export_record import remove_exports
from maskcast.runs.folder import HALF_FILLED, RunFolder
from maskcast.runs.frame_log import LogEntry
from maskcast.runs.removal import remove_file
from maskcast.runs.request import RECOMPUTING, RunRequest

logger = logging.getLogger(__name__)


def match_results(run: RunFolder, request: RunRequest, progress: Progress | None = None) -> None:
    """Make the folder and its run card hold results of one request only.

    Args:
        run: a run with the same method, weights, options and input.
        request: the current request.
        progress: called for every frame whose masks get other ids.

    Raises:
        OutputError: a file cannot be set aside, deleted or restored.
    """
    before, exported = run.card, run.identity.of_results(run.card.frames)
    matching = _Matching(run, request)
    changed = matching.remove_outdated(progress)
    changed |= matching.clear_outdated_fills()
    changed |= matching.bring_back()
    matching.write_log()
    finished, filled = matching.finished(), matching.filled()
    if run.count is None:
        is_whole = before.forward_finished and finished >= before.frames
    else:
        is_whole = finished >= run.count
    lost = finished < before.frames and not is_whole
    if lost and not changed:
        gone = run.masks.path(finished)
        logger.warning("%s is missing or damaged; computing frames from there on again", gone)
    outdated = before.frames > 0 and exported != run.identity.of_results(run.count or before.frames)
    if changed or lost or outdated or before.request.prompts != request.prompts:
        remove_exports(run.path)
    if not is_whole:
        matching.remove_states_from(finished)
    is_done = is_whole and not (request.goes_backward and filled <= request.last_first_prompt)
    run.update(
        frames=finished,
        forward_finished=is_whole,
        frames_backward=filled if changed and request.goes_backward else before.frames_backward,
        status="interrupted" if before.status == "finished" and not is_done else before.status,
    )
    if run.card.status == "finished":
        run.masks.finish()


class _Matching:
    """The log entries of a run while its folder is made to match a request."""

    def __init__(self, run: RunFolder, request: RunRequest) -> None:
        self._run = run
        self._on_disk = run.frames_on_disk()
        self._on_disk_backward = run.steps_on_disk_backward()
        self._logged = run.log.by_frame()
        self._entries = {f: entry for f, entry in self._logged.items() if self._fits(entry)}
        self._brought: dict[int, LogEntry] = {}
        self._aside = Aside(run)
        self._before = run.identity
        run.adopt(request)

    def remove_outdated(self, progress: Progress | None = None) -> bool:
        """Delete frames and states of another request; set aside those that an edit may reuse.

        Returns:
            whether any frame was outdated.
        """
        run = self._run
        outdated = [entry for entry in self._entries.values() if not run.is_valid(entry)]
        states = {number: run.states.digest(number) for number in run.states.numbers()}
        old = {n: digest for n, digest in states.items() if digest != run.identity.of_tracking(n)}
        self._set_aside(outdated, {n: digest for n, digest in old.items() if digest})
        for number in old:
            run.states.remove(number)
        for number in run.states_backward.numbers():
            if not run.states_backward.is_valid(number):
                run.states_backward.remove(number)
        for entry in run.change_ids(self._renamed(outdated), progress):
            self._entries[entry.frame] = entry
        for entry in outdated:
            if not run.is_valid(self._entries[entry.frame]):
                self._delete(entry)
        for frame_index in range(run.count) if run.count is not None else [*self._logged]:
            if frame_index not in self._entries and self._is_painted(frame_index):
                run.masks.remove(frame_index)
        return bool(outdated)

    def clear_outdated_fills(self) -> bool:
        """Remove objects that an outdated backward pass has filled into the remaining frames.

        Returns:
            whether any frame had such objects.
        """
        wanted = (None, self._run.identity.backward)
        outdated = [entry for entry in self._entries.values() if entry.backward not in wanted]
        if not outdated:
            return False
        self._set_aside(outdated, {})
        for entry in outdated:
            del self._entries[entry.frame]
        self._entries |= {e.frame: e for e in self._run.clear_fills(outdated)}
        return True

    def bring_back(self) -> bool:
        """Restore results of the request that were set aside, from the first frame on.

        Returns:
            whether any frame was restored.
        """
        run = self._run
        for frame_index in count() if run.count is None else range(run.count):
            entry = self._entries.get(frame_index)
            is_valid = run.has(entry)
            entry_aside = self._find_filled(frame_index, entry if is_valid else None)
            if entry_aside is None and not is_valid:
                entry_aside = self._aside.find(frame_index, filled=False)
            if entry_aside is not None:
                self._brought[frame_index] = entry_aside
            elif not is_valid:
                break
        self._aside.bring_back(self._brought.values())
        self._aside.bring_back_states()
        self._entries |= self._brought
        return bool(self._brought)

    def write_log(self) -> None:
        """Write the log if it has changed, and only then drop the copies of restored frames."""
        if self._entries != self._logged:
            self._run.log.replace(self._entries[f] for f in sorted(self._entries))
        self._aside.drop(self._brought.values())
        self._aside.trim()

    def remove_states_from(self, number: int) -> None:
        """Delete the states from a step on, because frames before them are missing."""
        for later in self._run.states.numbers():
            if later >= number:
                self._run.states.remove(later)

    def finished(self) -> int:
        """Return how many frames, from the first on, are results of the request."""
        return self._run.finished_frames(self._entries, self._on_disk, self._brought)

    def filled(self) -> int:
        """Return how many steps of the backward pass, from step 0 on, are finished."""
        return self._run.filled_steps(self._entries, self._on_disk_backward, self._brought)

    def _find_filled(self, frame_index: int, valid: LogEntry | None) -> LogEntry | None:
        request = self._run.card.request
        if not request.goes_backward or frame_index >= request.last_first_prompt:
            return None
        if valid is not None and valid.backward == self._run.identity.backward:
            return None
        return self._aside.find(frame_index, filled=True)

    def _renamed(self, outdated: list[LogEntry]) -> Iterator[tuple[LogEntry, dict[int, int]]]:
        """Yield the frames of which only swaps or merges have changed, with the change of ids."""
        before, now = self._before, self._run.identity
        if self._run.card.request.settings.get(RECOMPUTING):
            return
        for entry in outdated:
            frame = entry.frame
            is_same = entry.digest == before.of_frame(frame) and entry.backward != HALF_FILLED
            is_same &= before.of_tracking(frame) == now.of_tracking(frame)
            if is_same and frame < self._on_disk and self._run.masks.has(frame):
                change = change_of_ids(before.shown_ids(frame), now.shown_ids(frame))
                if change is not None:
                    yield entry, change

    def _set_aside(self, entries: list[LogEntry], states: dict[int, str]) -> None:
        whole = [
            entry
            for entry in entries
            if entry.digest is not None
            and entry.backward != HALF_FILLED
            and entry.frame < self._on_disk
            and self._run.masks.has(entry.frame)
        ]
        self._aside.put(whole, states)

    def _delete(self, entry: LogEntry) -> None:
        self._run.masks.remove(entry.frame)
        for object_id in entry.objects:
            remove_file(self._run.probability_path(entry.frame, object_id))
        del self._entries[entry.frame]

    def _is_painted(self, frame_index: int) -> bool:
        with suppress(DataError, LookupError):  # not a valid file name
            return self._run.masks.has(frame_index)
        return False

    def _fits(self, entry: LogEntry) -> bool:
        """Return whether the file name in an entry is the one that this run gives its frame."""
        with suppress(DataError, LookupError):
            return self._run.masks.path(entry.frame).name == entry.mask
        return False
