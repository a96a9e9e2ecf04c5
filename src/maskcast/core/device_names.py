"""How devices and dtypes are named by a user; nothing here imports torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

DeviceName: TypeAlias = str
"""auto, cpu, cuda, a certain GPU (cuda:1), or mps."""
DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""Of a network's computation."""
