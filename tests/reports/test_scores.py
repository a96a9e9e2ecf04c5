"""The rows of the reports about results of others that are scored."""

from __future__ import annotations

import pytest

from maskcast.data.catalogue import DatasetChoice, protocol_of
from maskcast.evaluation.score_results import score_results
from maskcast.evaluation.verdict import shortcomings
from reports.rows import INPUTS

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="MASKCAST_REPORTS is missing")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("upper_case", None),
        ("from_windows.zip", None),
        ("one_later", "v has masks of 00006, which the data set does not have, and none of 00000"),
    ],
)
def test_results(name, problem):
    choice = DatasetChoice(name="davis2017", root=INPUTS / "davis")
    scores = score_results(choice, INPUTS / "predicted" / name, protocol_of("davis2017"), jobs=1)
    problems = shortcomings(scores)
    if problem is None:
        assert (scores.dataset["J&F"], problems) == (1, [])
    else:
        assert any(line.startswith(problem) for line in problems)
