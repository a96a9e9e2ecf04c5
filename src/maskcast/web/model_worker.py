"""The model worker segments boxes and videos and makes exports, in a separate process.

It handles one request at a time. During a job, ``Stop`` and ``MakeMask`` are handled after every
frame.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from maskcast.core.errors import UsageError
from maskcast.core.heap import keep_freed_memory
from maskcast.core.types import Absent, Box
from maskcast.web.line import Asked, ServerLine
from maskcast.web.messages import (
    Done,
    Ended,
    MakeExports,
    MakeMask,
    MasksRead,
    OpenRun,
    Progressed,
    ReadMasks,
    Ready,
    Stepped,
    Stop,
    TakenUp,
    TakeUp,
    Track,
    failure_of,
)
from maskcast.web.model_run import ModelRun, mark_of

IDLE = 600.0
"""Seconds without a request after which the process exits to free its memory."""

logger = logging.getLogger(__name__)


def main(line: ServerLine) -> None:
    """Answer requests until the server exits, or there was none for ten minutes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_freed_memory()
    with suppress(KeyboardInterrupt):
        ModelWorker(line).work()


class ModelWorker:
    """The state of the process: the open run and its segmenter."""

    def __init__(self, line: ServerLine) -> None:
        self._line = line
        self._later: deque[Asked] = deque()
        self._run: ModelRun | None = None
        self._trouble: Exception | None = None
        self._stopped = False
        self._is_leaving = False

    def work(self) -> None:
        """Answer requests."""
        while not self._is_leaving:
            if not self._later and not self._line.is_waiting(IDLE):
                return
            asked = self._later.popleft() if self._later else self._line.receive()
            if asked is None:
                return
            self._answer(asked)

    def _answer(self, asked: Asked) -> None:
        try:
            reply = self._reply(asked)
        except Exception as error:
            logger.debug("model worker", exc_info=True)
            reply = failure_of(error)
        if reply is not None:
            self._line.send(asked.number, reply)

    def _reply(self, asked: Asked) -> Any:
        match asked.message:
            case OpenRun() as request:
                reply: Any = self._open(request)
            case MakeMask() as request:
                reply = self._opened().make_mask(request)
            case ReadMasks(path=path):
                reply = _masks_read(self._opened(), path)
            case TakeUp(marks=marks):
                self._opened().take_up(marks)
                reply = Done()
            case Track() as request:
                reply = self._track(asked.number, request)
            case MakeExports() as request:
                reply = self._export(asked.number, request)
            case _:  # Stop, when no job runs
                reply = None
        return reply

    def _open(self, request: OpenRun) -> Ready:
        self._run, self._trouble = None, None
        try:
            self._run = ModelRun(request)
        except Exception as error:
            self._trouble = error
            raise
        return Ready()

    def _opened(self) -> ModelRun:
        if self._trouble is not None:
            raise self._trouble
        if self._run is None:
            raise UsageError("no run is open")
        return self._run

    def _track(self, number: int, request: Track) -> Ended:
        run, self._stopped = self._opened(), False

        def written(step: Stepped) -> None:
            self._line.send(number, step)

        try:
            run.track(
                request,
                progress=self._progress(number),
                taken_up=lambda: self._line.send(number, TakenUp()),
                written=written,
            )
        except KeyboardInterrupt:
            return self._interrupted()
        return Ended(finished=True)

    def _export(self, number: int, request: MakeExports) -> Ended:
        run, self._stopped = self._opened(), False
        try:
            files = run.export(request, progress=self._progress(number))
        except KeyboardInterrupt:
            return self._interrupted()
        return Ended(finished=True, files=files)

    def _interrupted(self) -> Ended:
        """Return the end of a job that was stopped by ``Stop``, by a signal, or by the server."""
        self._is_leaving = not self._stopped
        return Ended(finished=False)

    def _progress(self, number: int) -> Any:
        def report(work: str, done: int, total: int | None) -> None:
            self._line.send(number, Progressed(work=work, done=done, total=total))
            while self._line.is_waiting():
                self._look_up(self._line.receive())

        return report

    def _look_up(self, asked: Asked | None) -> None:
        """Handle a request between two frames of a job."""
        if asked is None or isinstance(asked.message, Stop):
            self._stopped = asked is not None
            raise KeyboardInterrupt
        if isinstance(asked.message, MakeMask):
            self._answer(asked)
        else:
            self._later.append(asked)


def _masks_read(run: ModelRun, path: str) -> MasksRead:
    prompts_read = run.read_masks(path)
    masks: dict[int, Mapping[int, bytes]] = {}
    values: dict[int, Mapping[int, str]] = {}
    for frame, prompts in prompts_read.by_frame.items():
        masks[frame] = {
            object_id: np.packbits(prompt.numpy()).tobytes()
            for object_id, prompt in prompts.items()
            if isinstance(prompt, torch.Tensor)
        }
        values[frame] = {
            object_id: mark_of(prompt)
            for object_id, prompt in prompts.items()
            if isinstance(prompt, Box | Absent)
        }
    return MasksRead(
        report=tuple(prompts_read.report),
        masks=masks,
        values=values,
        ends=tuple((frame, i) for frame, ids in prompts_read.ends.items() for i in sorted(ids)),
        renames=tuple(
            (frame, i, other)
            for frame, change in prompts_read.renames.items()
            for i, other in sorted(change.items())
        ),
    )
