"""Frames to look at, as the page lists them. Imports no torch."""

from __future__ import annotations

from typing import Any

from maskcast.web.project import Project


def flags_of(project: Project) -> list[dict[str, Any]]:
    """Return the flags of a project, the worst first."""
    return []
