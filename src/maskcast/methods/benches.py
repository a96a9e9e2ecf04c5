"""The benchmarks of all methods; only ``maskcast bench`` imports this module."""

from __future__ import annotations

from maskcast.bench.benchmarked import Benchmarked
from maskcast.methods.agame.bench import bench as agame
from maskcast.methods.eosvos.bench import bench as eosvos
from maskcast.methods.lwl.bench import bench as lwl

BENCHES: dict[str, Benchmarked] = {"lwl": lwl, "agame": agame, "eosvos": eosvos}
"""Benchmarks by name of the method."""
