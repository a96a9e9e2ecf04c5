"""Which methods there are: a plain dictionary, so that "go to definition" works.

A method's folder imports ``Method`` from ``maskcast.methods.method`` and defines ``METHOD``; its line
below is all the rest of the house needs.
"""

from __future__ import annotations

from maskcast.methods.method import Method, Progress

__all__ = ["METHODS", "Method", "Progress"]

METHODS: dict[str, Method] = {}
