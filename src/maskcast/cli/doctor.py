"""``maskcast doctor``: check the installation and this machine."""

from __future__ import annotations

from maskcast.cli.terminal import one_line
from maskcast.core.errors import MaskcastError


def doctor() -> None:
    """Check the installation and this machine: versions, devices, codecs, folders and weights.

    Each line is ok, a note (something optional is missing) or FAIL. Nothing is downloaded or
    written. Include the output when you report a problem.
    """
    from maskcast.cli.installation import examine

    failures = 0
    for check in examine():
        failures += check.level == "FAIL"
        print(f"{check.level:<4} {check.name:<16} {one_line(check.detail)}")
    if failures:
        raise MaskcastError(f"{failures} of the checks failed; see the lines that begin with FAIL")
