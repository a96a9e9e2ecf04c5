"""Published parameter names and those of today's torchvision.

The public interface and all files keep the published names; torchvision wraps some layers in
sequences and so adds indices to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

_RULES = (
    (r"^backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.0\.", r"backbone.fpn.\1_blocks.\2."),
    (r"^rpn\.head\.conv\.0\.0\.", r"rpn.head.conv."),
)
_MASK_LAYER = re.compile(r"^roi_heads\.mask_head\.(\d+)\.0\.")


def published_name(name: str) -> str:
    """Return the published name of a torchvision parameter; published names stay as they are."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return _MASK_LAYER.sub(lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}.", name)


def with_published_names(values: Mapping[str, Value]) -> dict[str, Value]:
    """Rename every key."""
    return {published_name(name): value for name, value in values.items()}
