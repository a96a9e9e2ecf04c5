"""NumPy arrays that packages exchange, with their shapes in their types. Imports no torch."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int32, UInt8

Picture: TypeAlias = UInt8[np.ndarray, "height width 3"]
"""RGB picture in 8 bits, as stored and decoded."""
MaskArray: TypeAlias = Bool[np.ndarray, "height width"]
"""One object's region."""
LabelArray: TypeAlias = Int32[np.ndarray, "height width"]
"""One object id per pixel; 0 is the background."""
