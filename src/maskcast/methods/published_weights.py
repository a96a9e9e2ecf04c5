"""Import the authors' checkpoints as named weights, and export weights for the authors' code."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import UsageError, WeightsError
from maskcast.core.files import with_home
from maskcast.core.progress import Progress
from maskcast.io.weights.downloads import download, is_url
from maskcast.io.weights.files import Weights, sha256_of
from maskcast.io.weights.names import PublishedFile, install_weights, read_weights
from maskcast.methods.catalogue import METHODS, published_files
from maskcast.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor


def import_weights(
    source: str,
    *,
    name: str | None = None,
    method: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Import a checkpoint of the authors into the user's cache as named weights.

    Nothing in the file is executed; keys and shapes are checked strictly.

    Args:
        source: a path, an http(s) URL, a Google Drive id, or the name of published weights.
        name: name of the weights; by default it follows from the name of the file.
        method: method that the file belongs to; by default any that can read it.
        sha256: expected SHA-256 of the file.
        progress: called during a download.

    Raises:
        UsageError: the method is unknown, or a name is required.
        MissingFileError: the file does not exist.
        WeightsError: the download failed, or no method can read the file.
        OutputError: the cache cannot be written to.
    """
    known = published_files().get(source)
    if known and ".zip" in known.source:
        raise WeightsError(
            f"{source} is part of an archive; download {known.source}, unpack it, and import "
            f"{known.file_name}"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = with_home(source)
        if known or is_url(source) or not path.is_file():
            path = Path(folder) / (PurePosixPath(known.file_name).name if known else _name(source))
            expected = sha256 or (known.sha256 if known else None)
            download(known.source if known else source, path, sha256=expected, progress=progress)
        elif sha256 and sha256_of(path) != sha256.lower():
            raise WeightsError(
                f"{path} is not the expected file: its SHA-256 is {sha256_of(path)}, not {sha256}",
                options=("sha256",),
            )
        return _install(path, known, name, method)


def export_weights(name_or_path: str, target: Path) -> None:
    """Write weights in the format of the authors' code.

    Raises:
        MissingFileError: the weights do not exist.
        WeightsError: the weights are damaged, or the authors' code has no format for them.
        OutputError: the file cannot be written.
    """
    weights = read_weights(name_or_path, published_files())
    method = METHODS.get(weights.method)
    if method is None or method.write_published is None:
        raise WeightsError(
            f"cannot export weights of {weights.method}: the authors' code has no format for them"
        )
    method.write_published(target, config_from_dict(method.config, weights.config), weights.tensors)


def published_name(weights: Weights) -> str | None:
    """Return the name of the published weights that these weights were imported from.

    It is read from the model card, and is None for all other weights, including those trained from
    a checkpoint of the authors.
    """
    method = METHODS.get(weights.method)
    source = weights.card.get("imported from")
    file = _published_as(Path(str(source)), method) if method is not None and source else None
    if file is None or file.sha256 not in (None, weights.card.get("its sha256")):
        return None
    return file.name


def _name(source: str) -> str:
    """Return the file name in a path or a URL."""
    path = re.sub(r"[?#].*", "", source) if is_url(source) else source
    return PurePosixPath(path).name[-100:] or "download"


def _install(path: Path, known: PublishedFile | None, name: str | None, method: str | None) -> Path:
    method = method or (known.method if known else None)
    if method is not None and method not in METHODS:
        raise UsageError(
            f"unknown method {method!r}; available: {', '.join(METHODS)}", options=("method",)
        )
    candidates = METHODS if method is None else {method: METHODS[method]}
    method_name, config, tensors = _read(path, candidates)
    file = known or _published_as(path, METHODS[method_name])
    if name is None and file is None:
        raise UsageError(
            f"{path.name} is a file of {method_name} with an unknown name; choose a name for the "
            "weights",
            options=("name",),
        )
    card = {"imported from": path.name, "its sha256": sha256_of(path)}
    if file is not None:
        card |= {"page": file.page, "licence": file.licence}
    return install_weights(
        name or (file.name if file else ""),
        method=method_name,
        config=config_to_dict(config),
        tensors=tensors,
        card=card,
    )


def _read(path: Path, candidates: Mapping[str, Method[Any]]) -> tuple[str, Any, dict[str, Tensor]]:
    refusals: dict[str, WeightsError] = {}
    for name, method in candidates.items():
        if method.read_published is None:
            continue
        try:
            return (name, *method.read_published(path))
        except WeightsError as error:
            refusals[name] = error
    if len({str(error) for error in refusals.values()}) == 1:
        raise next(iter(refusals.values()))
    raise WeightsError(
        f"no method can read {path.name}",
        details=[
            f"{name}: {line}"
            for name, error in refusals.items()
            for line in (error.summary, *error.details)
        ],
    )


def _published_as(path: Path, method: Method[Any]) -> PublishedFile | None:
    files: Iterable[PublishedFile] = method.published.values()
    return next((f for f in files if PurePosixPath(f.file_name).name == path.name), None)
