"""Weights as safetensors that carry their method, its config and their card.

A name stands for a file shipped inside the package, or for one installed in the user's cache
(``$MASKCAST_CACHE``, else ``~/.cache/maskcast/weights``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from maskcast.core.config import in_words
from maskcast.core.errors import MissingFileError, UsageError, WeightsError
from maskcast.core.files import path_inside, replacing, write_text

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED = Path(__file__).resolve().parent.parent / "weights"
"""Folder of the weights inside the package."""
_KEY = "maskcast"


@dataclass(frozen=True)
class Weights:
    """Released parameters, and everything needed to build the method they belong to."""

    name: str
    method: str
    config: dict[str, Any]
    """Settings of the method, as plain JSON values."""
    tensors: dict[str, Tensor]
    card: dict[str, Any]
    """Where they come from: training data, licence, scores, source, ..."""
    sha256: str
    """Of the whole file, as hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """Weights released by the authors of a paper, and where they can be had."""

    name: str
    """The name they get here, for ``--weights``."""
    method: str
    file_name: str
    """As the authors call it."""
    source: str
    """An http(s) address, or ``drive:ID`` for Google Drive."""
    page: str
    """The authors' page."""
    licence: str
    """What is known of the licence of the weights."""
    sha256: str | None = None
    """None where nobody has published one."""


@dataclass(frozen=True)
class InstalledWeights:
    """A weights file found by name, described without reading its tensors."""

    name: str
    path: Path
    shipped: bool
    method: str
    config: dict[str, Any] = field(repr=False)
    card: dict[str, Any] = field(repr=False)


def cache_folder() -> Path:
    """Return the folder of installed weights; it need not exist."""
    chosen = os.environ.get("MASKCAST_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "maskcast" / "weights"


def installed_weights() -> Iterator[InstalledWeights]:
    """Describe every weights file that has a name: the shipped ones, then the user's.

    A damaged file in the cache is passed over; ``read_weights`` says what is wrong with it.
    """
    for folder in (SHIPPED, cache_folder()):
        for path in sorted(folder.glob("*.safetensors")):
            try:
                method, config, card = _read_metadata(path)
            except WeightsError:
                continue
            yield InstalledWeights(path.stem, path, folder == SHIPPED, method, config, card)


def find_weights(
    name_or_path: str | Path, published: Mapping[str, PublishedFile] | None = None
) -> Path:
    """Return the file that a name or a path means; shipped names go before installed ones.

    Args:
        name_or_path: a path; as text it is a name unless it holds a slash or ends in
            ``.safetensors``.
        published: weights that could be had; an error for one of these says how to install it.

    Raises:
        MissingFileError: there is no file at the path.
        WeightsError: no weights have the name; the message lists those that are there.
    """
    text = str(name_or_path)
    path = Path(text).expanduser()
    if isinstance(name_or_path, Path) or path.suffix == ".safetensors" or len(path.parts) > 1:
        if not path.is_file():
            raise MissingFileError(f"weights file {path} does not exist", options=("weights",))
        return path
    for folder in (SHIPPED, cache_folder()):
        candidate = path_inside(folder, text, ".safetensors")
        if candidate.is_file():
            return candidate
    raise _unknown_name(text, published or {})


def _unknown_name(name: str, published: Mapping[str, PublishedFile]) -> WeightsError:
    if name in published:
        file = published[name]
        return WeightsError(
            f"the weights {name} are not installed; download {file.file_name} from {file.page} and "
            "import it",
            options=("import_weights",),
        )
    here = [found.name for found in installed_weights()]
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
        MissingFileError: there is no file at the path.
        WeightsError: the name is unknown, or the file is damaged or not one of ours.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    path = find_weights(name_or_path, published)
    method, config, card = _read_metadata(path)
    try:
        tensors = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"the weights file {path} is damaged: {error}") from error
    return Weights(path.stem, method, config, tensors, card, sha256_of(path))


def write_weights(
    path: Path,
    *,
    method: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
) -> None:
    """Write weights as safetensors, whole or not at all.

    Args:
        path: the file; its stem becomes the name of the weights.
        method: name of the method in the catalogue.
        config: settings that build the method, as JSON values.
        tensors: parameters and buffers by name; stored in the dtypes they have.
        card: anything a reader should know, as JSON values.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save  # noqa: PLC0415 - imports torch

    about = json.dumps({"method": method, "config": dict(config), "card": dict(card)})
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    own = {name: tensor.clone() for name, tensor in plain.items()}  # shared memory is refused
    with replacing(path, sync=True) as temporary:
        # save_file would hide the system's reason, a full disk for instance
        temporary.write_bytes(save(own, metadata={_KEY: about}))


def install_weights(
    name: str,
    *,
    method: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    card: Mapping[str, Any],
) -> Path:
    """Write weights into the user's cache with a JSON card beside them, to be found by ``name``.

    Raises:
        DataError: the name cannot name a file.
        UsageError: the name would mean something else: the weights in the package, or a path.
        OutputError: the cache cannot be written to.
    """
    path = path_inside(cache_folder(), name, ".safetensors")
    if (SHIPPED / path.name).is_file() or name.endswith(".safetensors"):
        what = "a file" if name.endswith(".safetensors") else "weights of the package"
        raise UsageError(
            f"the name {name!r} would mean {what}; choose another one", options=("name",)
        )
    write_weights(path, method=method, config=config, tensors=tensors, card=card)
    beside = {"name": name, "method": method, "sha256": sha256_of(path), **card}
    write_text(path.with_suffix(".json"), json.dumps(beside, indent=2) + "\n")
    return path


def verify_weights(name_or_path: str | Path) -> str:
    """Read the whole file, compare its SHA-256 with the card beside it, and return the SHA-256.

    Raises:
        MissingFileError, WeightsError: as ``read_weights``; also when the card names another hash.
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
    """Say in lines what weights are: method, size, licence, where they come from."""
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
        lines += [f"{key:<9} {in_words(run)}" for run in runs]
    return lines


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_on_card(card: Path) -> str | None:
    if not card.is_file():
        return None
    try:
        content = json.loads(card.read_text("utf-8"))
    except ValueError as error:
        raise WeightsError(f"the model card {card} is damaged: {error}") from error
    return content.get("sha256") if isinstance(content, dict) else None


def _read_metadata(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read method, config and card without the tensors."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a weights file, or is damaged ({error}); checkpoints of the authors "
            "must be imported first",
            options=("import_weights",),
        ) from error
    if _KEY not in metadata:
        raise WeightsError(
            f"{path} is a safetensors file without the metadata of maskcast weights, which name "
            "the method"
        )
    try:
        about = json.loads(metadata[_KEY])
        return str(about["method"]), dict(about["config"]), dict(about["card"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"the metadata of {path} are damaged: {error}") from error
