"""Find, read and install weights by name.

A name refers to a file inside the package, or to one installed in the user's cache
(``$MASKCAST_CACHE``, else ``~/.cache/maskcast/weights``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskcast.core.config import in_words
from maskcast.core.errors import MissingFileError, UsageError, WeightsError
from maskcast.core.files import (
    alone_in,
    path_inside,
    remove_unfinished,
    with_home,
    write_text,
)
from maskcast.core.strict_json import read_json
from maskcast.io.weights.files import (
    Weights,
    check_tensors,
    read_file,
    read_metadata,
    sha256_of,
    write_weights,
)

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).resolve().parents[2] / "weights"
"""Folder of the weights inside the package."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """Weights released by the authors of a paper, and where to download them."""

    name: str
    """Name under which the weights are installed."""
    method: str
    """Name of the method in the catalogue."""
    file_name: str
    """The authors' file name."""
    source: str
    """An http(s) URL, or ``drive:ID`` for Google Drive."""
    page: str
    """URL of the authors' page."""
    licence: str
    """Licence of the weights, as far as it is known."""
    sha256: str | None = None
    """SHA-256 of the file; None if none has been published."""


@dataclass(frozen=True)
class InstalledWeights:
    """A weights file that has a name, described without reading its tensors."""

    name: str
    path: Path
    shipped: bool
    """Whether the file is part of the package."""
    method: str
    config: dict[str, Any] = field(repr=False)
    card: dict[str, Any] = field(repr=False)


_LABELS = {"model_card": "card", "started_from": "from"}
"""Labels of entries of a model card that are too long for the column."""


def cache_folder() -> Path:
    """Return the folder of installed weights, which may not exist.

    Raises:
        UsageError: there is no home folder, or ``MASKCAST_CACHE`` names that of an unknown user.
    """
    chosen = os.environ.get("MASKCAST_CACHE")
    folder = with_home(chosen or "~/.cache/maskcast/weights")
    if str(folder).startswith("~"):
        raise UsageError(
            f"the folder for weights, {folder}, is in a home folder that does not exist; set the "
            "environment variable MASKCAST_CACHE to a folder"
        )
    return folder


def _folders() -> Iterator[Path]:
    """Yield the folders of weights with a name; a user without a home folder has none."""
    yield SHIPPED
    if os.environ.get("MASKCAST_CACHE") or not str(with_home("~")).startswith("~"):
        yield cache_folder()


def installed_weights() -> Iterator[InstalledWeights]:
    """Yield a description of all weights with a name: those of the package, then those of the user.

    Damaged files in the cache are skipped; ``read_weights`` reports what is wrong with them.
    """
    for folder in _folders():
        for path in sorted(folder.glob("*.safetensors")):
            if path.name.startswith(".") or not path.is_file():  # unfinished, or a pipe
                continue
            try:
                method, config, card = read_metadata(path)
            except WeightsError:
                continue
            yield InstalledWeights(path.stem, path, folder == SHIPPED, method, config, card)


def find_weights(
    name_or_path: str | Path, published: Mapping[str, PublishedFile] | None = None
) -> Path:
    """Return the file that a name or a path refers to; names in the package take precedence.

    Args:
        name_or_path: a path or a name; a string is a name unless it contains a slash or ends in
            ``.safetensors``.
        published: weights available for download; the error for one of these says how to install
            it.

    Raises:
        MissingFileError: no file exists at the path.
        WeightsError: the name is unknown; the message lists the installed weights.
    """
    text = str(name_or_path)
    path = with_home(text)
    if _is_path(name_or_path):
        if not path.is_file():
            raise MissingFileError(f"weights file {path} does not exist", options=("weights",))
        return path
    for folder in _folders():
        candidate = path_inside(folder, text, ".safetensors")
        if candidate.is_file():
            return candidate
    raise _unknown_name(text, published or {})


def _is_path(name_or_path: str | Path) -> bool:
    path = Path(name_or_path)
    return isinstance(name_or_path, Path) or path.suffix == ".safetensors" or len(path.parts) > 1


def _unknown_name(name: str, published: Mapping[str, PublishedFile]) -> WeightsError:
    if name in published:
        file = published[name]
        return WeightsError(
            f"the weights {name} are not installed; download {file.file_name} from {file.page} and "
            "import it",
            options=("import_weights",),
        )
    here = [weights.name for weights in installed_weights()]
    close = get_close_matches(name, [*here, *published], n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return WeightsError(
        f"no weights named {name!r}{hint}; installed: {', '.join(here) or 'none'}",
        options=("weights",),
    )


def read_weights(
    name_or_path: str | Path, published: Mapping[str, PublishedFile] | None = None
) -> Weights:
    """Read weights by name or from a safetensors file written by ``write_weights``.

    Raises:
        MissingFileError: no file exists at the path.
        WeightsError: the name is unknown, or the file is damaged or was not written by
            ``write_weights``.
    """
    path = find_weights(name_or_path, published)
    shipped = not _is_path(name_or_path) and path.parent == SHIPPED
    return replace(read_file(path), shipped=shipped)


def install_weights(
    name: str,
    *,
    method: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
) -> Path:
    """Write weights and their model card (JSON) to the user's cache, and return the weights file.

    Raises:
        WeightsError: a tensor is unusable; see ``check_tensors``.
        DataError: the name is not a valid file name.
        UsageError: the name is that of weights in the package, or looks like a path.
        OutputError: the cache is not writable.
    """
    path = path_inside(cache_folder(), name, ".safetensors")
    if (SHIPPED / path.name).is_file() or name.endswith(".safetensors"):
        what = "a file" if name.endswith(".safetensors") else "weights of the package"
        raise UsageError(
            f"the name {name!r} would mean {what}; choose another one", options=("name",)
        )
    check_tensors(tensors, name)
    with alone_in(path.parent, wait=True):  # so that weights and card are of one import
        remove_unfinished(path.parent)
        write_weights(path, method=method, config=config, tensors=tensors, card=card)
        full_card = {"name": name, "method": method, "sha256": sha256_of(path), **card}
        write_text(path.with_suffix(".json"), json.dumps(full_card, indent=2) + "\n")
    return path


def verify_weights(name_or_path: str | Path) -> str:
    """Read a weights file, compare its SHA-256 with the one on its model card, and return it.

    Raises:
        MissingFileError, WeightsError: like ``read_weights``; also if the card has another hash.
    """
    weights = read_weights(name_or_path)
    card = find_weights(name_or_path).with_suffix(".json")
    expected = _sha256_on_card(card)
    if expected is not None and expected != weights.sha256:
        raise WeightsError(
            f"the weights {weights.name} have changed since they were installed (SHA-256 "
            f"{weights.sha256}, expected {expected}); import them again",
            options=("import_weights",),
        )
    return weights.sha256


def describe_weights(name_or_path: str | Path) -> list[str]:
    """Return lines that describe weights: method, size, licence, origin."""
    weights = read_weights(name_or_path)
    numbers = sum(tensor.numel() for tensor in weights.tensors.values())
    size = sum(tensor.nbytes for tensor in weights.tensors.values())
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in weights.tensors.values()})
    lines = [
        f"weights   {weights.name}",
        f"method    {weights.method}",
        f"numbers   {numbers:,} in {len(weights.tensors)} tensors, "
        f"{size / 1e6:.1f} MB ({', '.join(kinds)})",
        f"sha256    {weights.sha256}",
        f"file      {find_weights(name_or_path)}",
    ]
    for key, value in weights.card.items():
        runs = value if isinstance(value, list) else [value]
        lines += [f"{_LABELS.get(key, key):<9} {_in_short(run)}" for run in runs]
    return lines


def _in_short(entry: Any) -> str:
    """Return an entry of a model card in one line; of a training run, what identifies it."""
    if not (isinstance(entry, dict) and {"recipe", "step", "hours"} <= entry.keys()):
        return in_words(entry)
    parts = [
        str(entry["recipe"]),
        f"{entry['step']} steps",
        f"{entry['hours']} hours",
        str(entry.get("started", ""))[:10],
        f"commit {entry['commit']}" if "commit" in entry else "",
    ]
    return ", ".join(filter(None, parts))


def _sha256_on_card(card: Path) -> str | None:
    if not card.is_file():
        return None
    try:
        content = read_json(card)
    except ValueError as error:
        raise WeightsError(f"the model card {card} is damaged: {error}") from error
    return content.get("sha256") if isinstance(content, dict) else None
