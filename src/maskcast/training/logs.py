"""Write the logs of a run: ``metrics.jsonl``, TensorBoard, pictures and a progress bar."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from maskcast.core.errors import OutputError
from maskcast.core.files import path_inside, write_bytes, write_text
from maskcast.core.strict_json import parse_json

METRICS = "metrics.jsonl"

logger = logging.getLogger(__name__)


@dataclass
class LossWindow:
    """Sums of losses since the last line of the metrics; saved in checkpoints."""

    sums: dict[str, float] = field(default_factory=dict)
    """Sums by name of the loss."""
    steps: int = 0
    """Number of steps in the sums."""

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step."""
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Return the means over the steps; empty if there are none."""
        return {name: total / self.steps for name, total in self.sums.items()}


class RunLogs:
    """The logs of a run folder. Only the first process writes them.

    Use it in a ``with`` block.
    """

    def __init__(self, folder: Path, *, first_step: int, total_steps: int, active: bool) -> None:
        self._folder = folder
        self._active = active
        self._step = first_step
        self._console = Console(stderr=True)
        self._progress = _progress(self._console, shown=active and self._console.is_terminal)
        self._bar = self._progress.add_task("", total=total_steps, completed=first_step, values="")
        self._board: Any = None
        if active:
            forget_after(folder / METRICS, first_step)
            self._board = _tensorboard(folder / "tensorboard", first_step)

    def __enter__(self) -> RunLogs:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._on_board(lambda board: board.close())

    def advance(self, step: int) -> None:
        """Set the progress bar to the number of finished steps."""
        self._progress.update(self._bar, completed=step)

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Add one line to the metrics, and its numbers to TensorBoard.

        Args:
            kind: "train", "validation", or the name of an event.
            step: number of finished steps.
            values: numbers, strings and lists of them.
        """
        if not self._active:
            return
        logged = {name: _none_if_not_finite(value) for name, value in values.items()}
        self._append(json.dumps({"kind": kind, "step": step, **logged}) + "\n")
        numbers = {name: value for name, value in logged.items() if isinstance(value, float)}
        for name, value in numbers.items():
            self._on_board(lambda board, n=name, v=value: board.add_scalar(f"{kind}/{n}", v, step))
        self._tell(kind, step, numbers)

    def show(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Write pictures (3 × height × width, uint8) as PNG files and to TensorBoard."""
        if not self._active:
            return
        folder = self._folder / "pictures" / f"step-{step:09d}"
        for name, picture in pictures.items():
            write_bytes(path_inside(folder, name, ".png"), _as_png(picture))
            self._on_board(lambda board, n=name, p=picture: board.add_image(n, p, step))

    def _on_board(self, put: Callable[..., None]) -> None:
        """Call ``put`` with the TensorBoard writer; stop using it if it cannot be written."""
        try:
            if self._board is not None:
                put(self._board)
        except OSError as error:
            logger.warning(
                "cannot write to TensorBoard any more (%s); continuing with %s alone",
                error,
                METRICS,
            )
            self._board = None

    def _append(self, line: str) -> None:
        path = self._folder / METRICS
        try:
            with path.open("a") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def _tell(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        if kind == "train":
            self._progress.update(self._bar, values=shown)
        if kind != "train" or not self._console.is_terminal:
            logger.info("step %d  %s  %s", step, kind, shown)


def forget_after(path: Path, step: int) -> None:
    """Remove lines that a killed run logged after its last checkpoint, and incomplete lines."""
    if not path.exists():
        return
    before = path.read_text(errors="replace")
    steps = ((line, _step_of(line)) for line in before.splitlines())
    after = "".join(
        f"{line}\n" for line, its_step in steps if its_step is not None and its_step <= step
    )
    if after != before:
        write_text(path, after)


def _none_if_not_finite(value: Any) -> Any:
    """Replace NaN and infinity by None, because JSON has neither."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_png(picture: Tensor) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).cpu().numpy()).save(file, format="PNG")
    return file.getvalue()


def _step_of(line: str) -> int | None:
    try:
        return int(parse_json(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def _progress(console: Console, *, shown: bool) -> Progress:
    return Progress(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[values]}"),
        console=console,
        disable=not shown,
    )


def _tensorboard(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow, and an extra
    except ImportError:
        logger.warning("tensorboard is not installed; writing metrics to %s alone", METRICS)
        return None
    return SummaryWriter(str(folder), purge_step=first_step + 1)
