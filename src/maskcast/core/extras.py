"""How users get the optional packages. maskcast is not on the package index."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra, such as ``train``, with where to run it."""
    return f'pip install ".[{extra}]" in a clone of maskcast'
