"""Names of devices and dtypes in options. Imports no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

DeviceName: TypeAlias = str
"""auto, cpu, cuda, a specific GPU (cuda:1), or mps."""
DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""Data type in which a network computes."""
