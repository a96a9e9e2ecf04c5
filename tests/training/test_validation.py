"""Values of a validation in parts, and which of two is better."""

from __future__ import annotations

from math import inf, nan

import pytest

from maskcast.core.errors import DataError
from maskcast.training import validation
from maskcast.training.validation import is_better, readable_values, validation_values
from training.toy_task import TOY, ToyTask


class Parts(ToyTask):
    """A task that validates three parts, of which the second cannot be read."""

    def validation_parts(self) -> int:
        return 3

    def validate_part(self, part: int) -> dict[str, float]:
        if part == 1:
            raise DataError("damaged")
        return {"J": part / 2}


@pytest.mark.parametrize(
    ("value", "best", "highest", "expected"),
    [
        (0.5, None, True, True),
        (nan, None, True, False),
        (0.6, 0.5, True, True),
        (0.5, 0.5, True, False),
        (0.4, 0.5, False, True),
        (inf, 0.5, True, False),
        (nan, 0.5, False, False),
    ],
)
def test_only_finite_values_that_improve_are_better(value, best, highest, expected):
    assert is_better(value, best, highest=highest) is expected


def test_unreadable_data_are_reported_and_left_out(caplog):
    assert readable_values(Parts(TOY.config).validate_part, 1) == {}
    assert "skipped in validation: damaged" in caplog.text
    assert readable_values(Parts(TOY.config).validate_part, 2) == {"J": 1.0}


def test_each_process_validates_its_share_and_all_get_the_mean(monkeypatch):
    shares = []
    monkeypatch.setattr(validation, "from_all", lambda share: shares.append(share) or [share])
    assert validation_values(Parts(TOY.config), rank=0, processes=1) == {"J": 0.5}
    assert shares[0] == {0: {"J": 0.0}, 1: {}, 2: {"J": 1.0}}
    shares.clear()
    validation_values(Parts(TOY.config), rank=1, processes=2)
    assert shares[0] == {1: {}}


def test_without_parts_there_are_no_values():
    class Bare(Parts):
        validate_part = None

    assert validation_values(Bare(TOY.config), rank=0, processes=1) == {}
