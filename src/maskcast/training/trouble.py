"""Handle problems during training: unreadable items and non-finite losses."""

from __future__ import annotations

import logging
from pathlib import Path

from maskcast.core.errors import TrainingError
from maskcast.core.training import LoopConfig
from maskcast.training.items import SteadyItems
from maskcast.training.logs import RunLogs
from maskcast.training.processes import from_all
from maskcast.training.step import StepReport

logger = logging.getLogger(__name__)


class Trouble:
    """Counts and logs problems, and ends the run if there are too many."""

    def __init__(self, config: LoopConfig, *, broken: int = 0, bad_in_a_row: int = 0) -> None:
        self._config = config
        self.broken = broken
        """Number of unreadable items since the start of the run."""
        self.bad_in_a_row = bad_in_a_row
        """Number of consecutive failed steps up to now."""
        self.last_good: Path | None = None
        """The newest checkpoint."""

    def look_at(self, report: StepReport, *, step: int, items: SteadyItems, logs: RunLogs) -> None:
        """Log the problems of a step; every process must call this.

        Raises:
            TrainingError: there are more problems than the config allows.
        """
        if report.faults:
            self._broken_items(report, step, logs)
        if report.taken:
            self.bad_in_a_row = 0
        else:
            self._bad_step(report, step, items, logs)

    def _broken_items(self, report: StepReport, step: int, logs: RunLogs) -> None:
        of_process = [fault for batch in report.batches for fault in batch.faults]
        faults = [fault for several in from_all(of_process) for fault in several]
        for fault in faults:
            self.broken += 1
            logger.warning("skipped a broken item, %s: %s", fault.identity, fault.reason)
            about = {"item": fault.identity, "reason": fault.reason, "count": self.broken}
            logs.write("broken_item", step, about)
        if self.broken > self._config.broken_limit:
            raise TrainingError(
                f"{self.broken} items could not be read, which exceeds broken_limit "
                f"({self._config.broken_limit}); the last one is {faults[-1].identity} "
                f"({faults[-1].reason}); repair the data set; {self._where_to_go_on()}",
                options=("loop.broken_limit",),
            )

    def _bad_step(self, report: StepReport, step: int, items: SteadyItems, logs: RunLogs) -> None:
        of_process = [items.identity(key) for key in report.item_keys]
        culprits = [name for names in from_all(of_process) for name in names]
        self.bad_in_a_row += 1
        losses = {name: str(value) for name, value in report.losses.items()}  # JSON has no NaN
        logs.write("bad_step", step, {"items": culprits, "losses": losses})
        logger.warning(
            "step %d skipped: loss %s, gradient %s; items: %s",
            step,
            losses["total"],
            losses["gradient_norm"],
            "; ".join(culprits),
        )
        if self.bad_in_a_row >= self._config.bad_steps_limit:
            raise TrainingError(
                f"loss or gradient not finite in {self.bad_in_a_row} steps in a row, the last with "
                f"{culprits[0]}; {self._where_to_go_on()}"
            )

    def _where_to_go_on(self) -> str:
        if self.last_good is None:
            return "there is no checkpoint yet; check the data, or lower the learning rates"
        return f"the last good checkpoint is {self.last_good}"
