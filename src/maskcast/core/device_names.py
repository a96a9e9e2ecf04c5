"""Names of devices and dtypes in options. Imports no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias

DeviceName: TypeAlias = str
"""auto, cpu, cuda, a specific GPU (cuda:1), or mps."""
DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""Data type in which a network computes."""
DtypeChoice: TypeAlias = Literal["auto", DtypeName]
"""A data type, or ``auto``: bfloat16 for small weights of the package on a processor that supports
it natively, otherwise float32."""
SharedDtype: TypeAlias = Literal[DtypeName, "small-bfloat16"]
"""The data type of several segmenters. ``small-bfloat16`` is what ``auto`` means where bfloat16 is
native: bfloat16 for small weights of the package, float32 for all others."""
