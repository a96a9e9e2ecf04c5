"""What a score left to be desired, in one message."""

from __future__ import annotations

from maskcast.core.errors import PartialResultError
from maskcast.data.dataset import listed
from maskcast.evaluation.scores import Scores


def raise_if_incomplete(scores: Scores) -> None:
    """Raise ``PartialResultError`` if a prediction was missing, unusable, or had unknown ids."""
    message = shortcomings(scores)
    if message is not None:
        raise PartialResultError(message)


def shortcomings(scores: Scores) -> str | None:
    """Say what was missing, faulty or too much in the predictions; None if nothing was."""
    missing, faults = scores.tree["missing"], scores.tree["faults"]
    extra: dict[str, str] = scores.tree["extra_objects"]
    parts: list[str] = []
    if missing:
        parts.append(
            f"{_count(len(missing), 'prediction')} missing, scored 0: {listed(missing, 5)}"
        )
    if faults:
        parts.append(f"{_count(len(faults), 'prediction')} unusable, scored 0: {listed(faults, 3)}")
    if extra:
        shown = [f"{name} (first on {frame})" for name, frame in extra.items()]
        parts.append(
            f"{_count(len(extra), 'predicted id')} unknown to the truth: {listed(shown, 5)}"
        )
    if not parts:
        return None
    return f"{scores.tree['results']} was scored, but: " + "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number} {what}s are"
