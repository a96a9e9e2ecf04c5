"""The server's session: it opens and closes projects, applies edits and calls the workers.

All methods must be called in the thread of the event loop. Writes to disk run in another thread,
one edit at a time. Imports no torch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from maskcast.core.errors import (
    MaskcastError,
    RunConflictError,
    UsageError,
)
from maskcast.runs.card import read_card
from maskcast.web.document import Document, changed_frames
from maskcast.web.events import Events
from maskcast.web.folders import RootFolder, remove_if_empty
from maskcast.web.frame_cache import ServerCache, key_of
from maskcast.web.imports import imported, unpacked
from maskcast.web.jobs import Jobs, tell_changes
from maskcast.web.messages import (
    Done,
    Ended,
    GetPicture,
    Jpeg,
    Look,
    Made,
    MakeMask,
    MasksRead,
    Opened,
    OpenRun,
    OpenVideo,
    Probe,
    ReadMasks,
    Ready,
    SegmenterChoice,
    TakeUp,
    Thumbnail,
    VideoRange,
    WorkerError,
)
from maskcast.web.project import Project, lock_run
from maskcast.web.watching import CardWatch
from maskcast.web.weights_file import note_file, weights_of
from maskcast.web.worker import Worker

Sides: TypeAlias = tuple[float, float, float, float]
"""X and y of the top left corner, width and height, in pixels."""

OPENING = 30.0
"""Time limit for replies of the media worker in seconds."""


class StaleRevisionError(MaskcastError):
    """An edit was made to a document that has changed since."""


@dataclass(frozen=True, kw_only=True)
class ToOpen:
    """The video, run folder and segmenter to open."""

    video: Path
    run: Path
    segmenter: SegmenterChoice
    start: str | None = None
    end: str | None = None
    on_bad_frame: Literal["stop", "hold"] | None = None


class Session:
    """One server: its events, its workers and at most one project."""

    def __init__(
        self,
        root: RootFolder,
        choice: SegmenterChoice,
        *,
        model: str = "maskcast.web.model_worker",
        media: str = "maskcast.web.media_worker",
    ) -> None:
        """Start without a project.

        Args:
            root: the folder that the page may access.
            choice: default weights, device and threads of projects.
            model: module whose ``main`` runs in the model worker.
            media: module whose ``main`` runs in the media worker.
        """
        self.root, self.choice = root, choice
        self.events = Events()
        self.project: Project | None = None
        self.jobs: Jobs | None = None
        self.watch: CardWatch | None = None
        self._locked: ExitStack | None = None
        self.frames = ServerCache()
        self._editing, self._opening = asyncio.Lock(), asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.media = Worker(
            "media",
            media,
            niceness=5,
            final=(Opened, Jpeg, Done),
            changed=self._changed("media"),
        )
        self.model = Worker(
            "model",
            model,
            niceness=10,
            final=(Ready, Made, MasksRead, Done, Ended),
            changed=self._changed("model"),
        )

    def opened(self) -> Project:
        """Return the open project. Raises ``UsageError``."""
        if self.project is None:
            raise UsageError("no project is open")
        return self.project

    async def open(self, asked: ToOpen) -> Project:
        """Open a video and its run folder, after closing the open project.

        Raises:
            MaskcastError, WorkerError: the video, the folder or the weights cannot be used.
        """
        async with self._opening:
            await self._close()
            card = await asyncio.to_thread(read_card, asked.run)
            settings = {} if card is None else card.request.settings
            video = VideoRange(
                path=str(asked.video),
                start=asked.start if card is None else settings.get("start"),
                end=asked.end if card is None else settings.get("end"),
                on_bad_frame=asked.on_bad_frame or settings.get("on_bad_frame") or "stop",
            )
            choice = asked.segmenter
            if card is not None:
                known = choice.weights or await asyncio.to_thread(weights_of, asked.run)
                weights = known or card.request.weights
                options = card.request.options
                choice = replace(choice, weights=weights, method=None, options=options)
            key = await asyncio.to_thread(key_of, video)
            cached = await asyncio.to_thread(self.frames.folder_of, key)
            opening = OpenVideo(video=video, cache=str(cached))
            opened: Opened = await self.media.ask(opening, limit=OPENING)
            if card is not None and card.request.input_sha256 != opened.sha256:
                raise RunConflictError(
                    f"{asked.run} belongs to a video with different content ({card.request.input})"
                )
            locked = lock_run(asked.run)
            try:
                run = OpenRun(video=video, run=str(asked.run), segmenter=choice)
                if card is None:
                    await self.model.ask(run)
                await asyncio.to_thread(note_file, asked.run, choice.weights)
                project = await asyncio.to_thread(Project, asked.run, video, opened, choice, key)
            except BaseException:
                locked.close()
                if card is None:
                    await asyncio.to_thread(remove_if_empty, asked.run)
                raise
            self._begin(project, locked, opening, run, is_new=card is None)
            return project

    async def close(self) -> None:
        """Close the project, after stopping its job."""
        async with self._opening:
            await self._close()

    async def shut_down(self) -> None:
        """Close the project, end the workers and all streams, and delete the decoded frames."""
        self.events.close()
        await self.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(self.media.stop(2.0), self.model.stop())
        await asyncio.to_thread(self.frames.close)

    async def edit(
        self, revision: int | None, did: str, frame: int | None, change: Callable[[], Document]
    ) -> None:
        """Apply an edit as a step of the history, which is on disk when this returns.

        Args:
            revision: revision of the document that the page has; None skips the check.
            did: description of the step.
            frame: frame of the step, if it has one.
            change: returns the new document; it runs in another thread and may write masks.

        Raises:
            StaleRevisionError: the document has changed since.
            MaskcastError: the edit is not possible, or cannot be written.
        """
        project = self.opened()

        def write() -> None:
            project.do(did, frame, change())

        await self._write(project, revision, write)

    async def amend(self, revision: int | None, change: Callable[[], Document]) -> None:
        """Change values outside the history; see ``edit``."""
        project = self.opened()
        await self._write(project, revision, lambda: project.amend(change()))

    async def move(self, revision: int | None, direction: str) -> dict[str, Any]:
        """Undo or redo a step, and describe it; see ``edit``."""
        project = self.opened()
        moved: dict[str, Any] = await self._write(
            project, revision, lambda: project.move(direction)
        )
        return moved

    async def make_mask(
        self, frame: int, slot: int, box: tuple[float, float, float, float]
    ) -> None:
        """Convert a box into the mask of an object; during a job, between two frames."""
        project = self.opened()
        known = project.document.object_in(slot)
        if known.locked:
            raise UsageError(f"{known.name} is locked")
        made: Made = await self.model.ask(MakeMask(frame=frame, box=box))
        if project is not self.project:
            return
        mask = unpacked(made.bits, project.size)

        def change() -> Document:
            document = project.document
            object_id = document.object_in(slot).id
            return project.with_masks(document, frame, {object_id: mask})

        did = f"box {','.join(f'{number:g}' for number in box)} on {known.name}"
        await self.edit(None, did, frame, change)

    async def read_masks(self, path: Path, revision: int | None) -> list[str]:
        """Import marks from a file, as ``--masks`` does, and return the report."""
        project = self.opened()
        read: MasksRead = await self.model.ask(ReadMasks(path=str(path)))
        frame = min((at for at, ids in read.masks.items() if ids), default=None)
        await self.edit(revision, f"imported {path.name}", frame, lambda: imported(project, read))
        return list(read.report)

    async def picture(self, frame: int, width: int) -> bytes:
        """Return a frame as JPEG."""
        reply: Jpeg = await self.media.ask(GetPicture(frame=frame, width=width), limit=OPENING)
        return reply.content

    async def thumbnail(self, video: Path) -> bytes:
        """Return the first frame of a video as a small JPEG."""
        reply: Jpeg = await self.media.ask(Thumbnail(path=str(video)), limit=OPENING)
        return reply.content

    async def check_video(self, path: Path) -> None:
        """Raise ``WorkerError`` if a file is not a video."""
        await self.media.ask(Probe(path=str(path)), limit=OPENING)

    async def refuse_others(self) -> None:
        """Wait for edits, then raise ``RunConflictError`` if another program uses the folder."""
        async with self._editing:  # the worker locks the folder while it brings results back
            if self.watch is not None:
                self.watch.refuse()

    def look(self, frame: int, step: int) -> None:
        """Send the position of the playhead to the media worker."""
        self.media.tell(Look(frame=frame, step=step))

    def later(self, work: Any) -> None:
        """Start an operation without waiting for it; errors are sent to the page as a notice."""
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin(
        self, project: Project, locked: ExitStack, opening: OpenVideo, run: OpenRun, *, is_new: bool
    ) -> None:
        self.project, self._locked = project, locked
        self.jobs = Jobs(project, self.model, self.events, self._editing)
        self.watch = CardWatch(project, self.jobs, self.events, self._take_foreign_marks)
        self.media.begin_with(opening)
        self.model.begin_with(run)
        if not is_new:
            self.later(self.model.ask(run))
        self.later(self.watch.work())
        self.events.tell("project")
        if project.can_bring_back():
            self.later(self._bring_back(project))

    async def _close(self) -> None:
        if self.project is None:
            return
        if self.watch is not None:
            self.watch.close()
        if self.jobs is not None:
            await self.jobs.close()
        async with self._editing:
            self.project = self.jobs = self.watch = None
            self.media.begin_with(None)
            self.model.begin_with(None)
        if self._locked is not None:
            self._locked.close()
        self.events.tell("project")

    async def _write(self, project: Project, revision: int | None, write: Callable[[], Any]) -> Any:
        async with self._editing:
            if project is not self.project:
                raise UsageError("the project was closed")
            if revision is not None and revision != project.history.revision:
                raise StaleRevisionError(
                    "the marks were changed by another page; look at them first"
                )
            before = project.document
            marks = before.marks(goes_backward=project.goes_backward)
            result = await asyncio.to_thread(write)
            frames = changed_frames(before, project.document)
            self.events.tell("document", revision=project.history.revision, frames=frames)
            if marks != project.document.marks(goes_backward=project.goes_backward):
                self._marks_changed(project)
            return result

    def _take_foreign_marks(self) -> None:
        project = self.opened()
        self.later(self._write(project, None, project.take_foreign_marks))

    def _marks_changed(self, project: Project) -> None:
        self.events.tell("outdated", **{"from": project.outdated_from()})
        assert self.jobs is not None
        self.jobs.edited()
        if self.jobs.current is None and project.can_bring_back():
            self.later(self._bring_back(project))

    async def _bring_back(self, project: Project) -> None:
        """Restore results that match the document, without computing any."""
        async with self._editing:
            if project is not self.project or self.jobs is None or self.jobs.current is not None:
                return
            if not project.can_bring_back():
                return
            await self.model.ask(TakeUp(marks=project.request().prompts))
            before = project.results.snapshot()
            project.load_results()
            project.note_marks()
        tell_changes(project, self.events, before)
        self.events.tell("outdated", **{"from": project.outdated_from()})
        self.events.tell("flags")

    def _changed(self, name: str) -> Callable[[str, str], None]:
        def tell(state: str, why: str) -> None:
            self.events.tell("worker", name=name, state=state, note=why)

        return tell

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except (MaskcastError, WorkerError) as error:
            self.events.tell("notice", level="error", message=str(error))
