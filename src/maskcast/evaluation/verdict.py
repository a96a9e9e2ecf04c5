"""Report the problems in predictions that were scored nevertheless."""

from __future__ import annotations

from maskcast.core.errors import PartialResultError
from maskcast.evaluation.scores import Scores


def raise_if_incomplete(scores: Scores) -> None:
    """Raise ``PartialResultError`` if a prediction was missing, unusable, or had unknown ids."""
    problems = shortcomings(scores)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise PartialResultError.listing(
            f"{scores.tree['results']} was scored with {count}", problems
        )


def shortcomings(scores: Scores) -> list[str]:
    """Return one line of text per missing, unusable or superfluous prediction."""
    extra: dict[str, str] = scores.tree["extra_objects"]
    return [
        *(f"{name} is missing (scored 0)" for name in scores.tree["missing"]),
        *(f"{fault} (scored 0)" for fault in scores.tree["faults"]),
        *scores.tree.get("wrong_names", ()),
        *(f"{name} is not in the ground truth (first on {frame})" for name, frame in extra.items()),
    ]
