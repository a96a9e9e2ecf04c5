"""What each method brings to the contract tests: ``tests/methods/NAME/contract.py``.

Such a module has

    TASKS                 name -> function that returns a tiny training task and a batch for it
    HALF_PRECISION        name -> scale of the gradients that is twice too large for fp16, for each
                          task that can be trained in half precision
    STATE_FIELDS          class -> names of its saved fields, for all classes in a saved state
    TAGS                  equations or sections that the map in the method's README.md has to cover
    open_training_data    opens training data: keywords ``davis`` and ``videos``
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from maskcast.methods.catalogue import METHODS


def part_of(method: str) -> ModuleType:
    """Return the module of a method; every method has to have one."""
    return import_module(f"methods.{method}.contract")


PARTS = {method: part_of(method) for method in METHODS}
