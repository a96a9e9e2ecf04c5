"""One line per oracle file at the end of a test run: how many arrays, and how close.

``tests/conftest.py`` makes the hook known, so that it also runs where workers run the tests.
"""

from __future__ import annotations

from typing import Any

import pytest

PROPERTY = "oracle_comparison"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print ``compared FOLDER/FILE: N arrays, worst DEVIATION of tolerance``."""
    found: dict[str, tuple[int, float]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport) or report.when != "teardown":
                continue
            for key, value in report.user_properties:
                if key == PROPERTY:
                    name, arrays, worst = value
                    known_arrays, known_worst = found.get(name, (0, 0.0))
                    found[name] = known_arrays + arrays, max(known_worst, worst)
    if found:
        terminalreporter.section("oracle")
    for name, (arrays, worst) in sorted(found.items()):
        terminalreporter.write_line(
            f"compared {name}: {arrays} arrays, worst {worst:.3g} of tolerance"
        )
