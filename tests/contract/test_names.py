"""One meaning per name: words that are not used in names, and no two public types of one name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskcast
from maskcast.methods.catalogue import METHODS

PACKAGE = Path(maskcast.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in PACKAGE.rglob("*.py")
    if path.parent.name != "onnx_runtime"  # a program of its own, with the same types
}
INSTEAD = {
    **dict.fromkeys(("seq", "sequence_name"), "video or clip"),
    **dict.fromkeys(("img", "im"), "frame or picture"),
    **dict.fromkeys(("seg", "anno", "gt"), "mask, label_map or ground_truth"),
    **dict.fromkeys(("idx", "tmp", "ckpt"), "a word: index, temporary, checkpoint"),
    "made_up": "synthetic",
    "madeup": "synthetic",
    "cards": "runs have a card and weights have one; a GPU is a gpu",
    **dict.fromkeys(("house", "room", "rooms"), "package, module, layer"),
    **dict.fromkeys(("told", "anew"), "reported, again"),
    "place": "index, position, key, folder",
    "places": "index, position, key, folder",
    "truth": "ground_truth",
}
"""Words, and what to say instead (a hint for whoever meets the error)."""
ADJECTIVES = {
    "each": "the thing itself: tensor, source, frame",
    "found": "what was found: masks, detection, problems",
    "given": "what was given: prompts, mask, in_file",
    "own": "what is owned: object_id, state, gradient",
}
"""Words that need a noun (``found_objects``); alone they had up to a dozen meanings."""
NO_MODULES = {"common", "helper", "helpers", "misc", "util", "utils"}
"""Modules and packages are named after what they hold."""
ALLOWED = {
    "room": "disk space, in runs/occupied",
    "in_place": "the common term",
    "ground_truth": "the term",
}
"""Names that contain such a word, and why they stay."""
KEPT_ADJECTIVES = {"methods/eosvos/segmenter": ("given",)}
"""Modules whose serialised states have a field of that name."""
SAME_NAME = {
    "PresenceRule": "a value in the settings of A-GAME, a protocol of LWL",
}
"""Public types that two packages define, and why."""


def words_of(name: str) -> list[str]:
    """Split a name in snake case or camel case into its words, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def contains(name: str, banned: str) -> bool:
    """Whether the words of a banned name follow one another in a name."""
    words, wanted = words_of(name), banned.split("_")
    starts = range(len(words) - len(wanted) + 1)
    return any(words[start : start + len(wanted)] == wanted for start in starts)


def defined_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what a module names itself: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def public_types(tree: ast.Module) -> Iterator[str]:
    """Yield the classes and type aliases of a module that others may import."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
            name = ast.unparse(node.target)
        else:
            continue
        if not name.startswith("_"):
            yield name


def plain_aliases(tree: ast.Module) -> Iterator[str]:
    """Yield the type aliases of a module that are not annotated as such."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() | ast.BinOp()):
                if any(letter.islower() for letter in name) and name.lstrip("_")[0].isupper():
                    yield name


def package_of(module: str) -> str:
    """Return the method that a module belongs to; methods never import each other."""
    parts = module.split("/")
    return parts[1] if parts[0] == "methods" and parts[1] in METHODS else ""


def test_modules_are_named_after_what_they_hold():
    assert not {part for module in MODULES for part in module.split("/")} & NO_MODULES


def complaint(module: str, name: str) -> str | None:
    """Return what to say instead of a name; None if nothing is wrong with it."""
    alone = name.strip("_")
    if alone in ADJECTIVES and alone not in KEPT_ADJECTIVES.get(module, ()):
        return ADJECTIVES[alone]
    if alone in ALLOWED:
        return None
    return next((INSTEAD[banned] for banned in INSTEAD if contains(name, banned)), None)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_name_says_what_it_means(module):
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    names = [(1, MODULES[module].stem), (1, MODULES[module].parent.name), *defined_names(tree)]
    complaints = [
        f"line {line}: {name} (say {instead})"
        for line, name in names
        if (instead := complaint(module, name))
    ]
    assert complaints == []


def test_public_types_have_names_of_their_own():
    homes: dict[str, list[str]] = defaultdict(list)
    for module, path in sorted(MODULES.items()):
        for name in public_types(ast.parse(path.read_text("utf-8"))):
            homes[name].append(module)
    clashes = {
        name: modules
        for name, modules in homes.items()
        if len(modules) > len({package_of(module) for module in modules})
        or (len(modules) > 1 and "" in map(package_of, modules))
    }
    assert {name: modules for name, modules in clashes.items() if name not in SAME_NAME} == {}


def test_type_aliases_are_annotated_and_so_seen_above():
    plain = {
        module: names
        for module, path in MODULES.items()
        if (names := list(plain_aliases(ast.parse(path.read_text("utf-8")))))
    }
    assert plain == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Kind = Literal['a', 'b']", ["Kind"]),
        ("Kind: TypeAlias = Literal['a', 'b']", []),
        ("Number = int | float", ["Number"]),
        ("SIZES = table['sizes']", []),
    ],
)
def test_aliases_are_found(source, expected):
    assert list(plain_aliases(ast.parse(source))) == expected


@pytest.mark.parametrize(
    ("name", "is_accepted"),
    [("_found", False), ("found_objects", True), ("truth", False), ("ground_truth", True)],
)
def test_adjectives_need_a_noun(name, is_accepted):
    assert (complaint("core/types", name) is None) is is_accepted


@pytest.mark.parametrize(
    ("name", "banned", "expected"),
    [
        ("made_up_clip", "made_up", True),
        ("MadeUpClips", "made_up", True),
        ("is_made", "made_up", False),
        ("_draw_places", "places", True),
        ("replaced", "place", False),
        ("GTMasks", "gt", True),
        ("weight", "gt", False),
    ],
)
def test_words_are_found_in_either_case(name, banned, expected):
    assert contains(name, banned) is expected
