"""The type checker that the test suite runs the package under (``addopts`` in pyproject.toml).

jaxtyping follows the sizes of arrays through a call, which costs more than most of our functions.
Functions without arrays in their signature are therefore checked by beartype alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(
    # an int will do for a float, and what is wrong is a TypeError, as with jaxtyping
    conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeError)
)

_with_sizes = jaxtyping.jaxtyped


def _names_no_arrays(function: FunctionType) -> bool:
    """Return whether all types are known and none is an array."""
    try:
        types = get_type_hints(function).values()
    except (NameError, TypeError):  # a name that is defined later, or for mypy only
        return False
    return not any("jaxtyping." in repr(named) for named in types)


def _with_sizes_where_needed(*, typechecker: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(item: Any) -> Any:
        if isinstance(item, FunctionType) and _names_no_arrays(item):
            return typechecker(item)
        return _with_sizes(typechecker=typechecker)(item)

    return decorate


jaxtyping.jaxtyped = _with_sizes_where_needed
