"""What fuzz targets share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from fuzz.budget import SECONDS, Fuzz, run_for


@pytest.fixture
def fuzz(request) -> Fuzz:
    """Run a target for its share of the time."""
    folder = Path(__file__).parent
    targets = [item for item in request.session.items if folder in item.path.parents]
    return partial(run_for, SECONDS / len(targets))
