"""Every row of the README of reports has a test in this folder, and every fault script passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reports.rows import FAULTS, REPORTS, rows_of

NOT_YET: set[str] = set()
"""Rows of the README of reports that are not mended yet; remove an entry with its fault."""
FILE = Path(__file__).name
ROWS = rows_of(REPORTS / "README.md")
SCRIPTS = sorted(FAULTS.glob("[0-9]*.py"))
CANNOT_BE_TRIED = 77
LONGEST = 600
"""Seconds that a script may take."""


@pytest.mark.skipif(not ROWS, reason="MASKCAST_REPORTS is missing")
def test_every_row_of_the_reports_has_a_test():
    others = (path for path in Path(__file__).parent.glob("test_*.py") if path.name != FILE)
    texts = [path.read_text("utf-8") for path in others]
    untested = {row for row in ROWS if not any(f'{row}"' in text for text in texts)}
    assert untested == NOT_YET


@pytest.mark.skipif(not SCRIPTS, reason="MASKCAST_FAULTS is missing")
def test_the_readme_of_faults_lists_every_script():
    listed = rows_of(FAULTS / "README.md")
    assert listed.keys() == {script.name for script in SCRIPTS}


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPTS, reason="MASKCAST_FAULTS is missing")
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_fault_is_gone(script):
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    may_be_untried = str(CANNOT_BE_TRIED) in rows_of(FAULTS / "README.md")[script.name]
    allowed = {0, CANNOT_BE_TRIED} if may_be_untried else {0}
    assert ended.returncode in allowed, ended.stdout + ended.stderr
