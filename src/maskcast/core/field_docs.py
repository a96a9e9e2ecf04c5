"""The docstrings under the fields of dataclasses, which describe settings. Imports no torch.

Python does not keep them, so they are read from the source.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise


def descriptions_of(kind: type[object]) -> dict[str, str]:
    """Return the docstrings of a dataclass's fields by name; empty if there is no source."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            docs |= _documented_fields(base.__module__).get(base.__qualname__, {})
    return docs


@cache
def _documented_fields(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings under the fields of a module's classes, by qualified class name."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    return dict(_classes_in(tree, ""))


def _classes_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, dict(_strings_under_fields(child))
            yield from _classes_in(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _classes_in(child, f"{prefix}{child.name}.<locals>.")


def _strings_under_fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(node.body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(text.value.value).split())
