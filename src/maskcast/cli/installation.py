"""Examine the installation and this machine, for ``maskcast doctor``."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import torch

from maskcast.cli.terminal import in_bytes
from maskcast.core.device import name_of
from maskcast.core.errors import MaskcastError
from maskcast.core.files import check_writable
from maskcast.core.numbers import counted
from maskcast.core.processors import processor_count
from maskcast.io.video.codecs import decoders, encoders
from maskcast.io.weights.names import cache_folder, installed_weights, verify_weights
from maskcast.web.frame_cache import cache_folder as frame_cache_folder

EXTRAS = {
    "train": ("lightning", "tensorboard"),
    "app": ("starlette", "uvicorn"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "ray": ("ray",),
    "remote": ("s3fs", "gcsfs", "adlfs"),
    "parquet": ("pyarrow",),
}
"""Optional parts of the package, and the packages that each needs."""
LITTLE_SPACE = 10**9
"""Bytes of free space below which a folder gets a note."""

CheckLevel: TypeAlias = Literal["ok", "note", "FAIL"]


class InstallationCheck(NamedTuple):
    """Result of one check: a note limits what can be done, a failure prevents segmenting."""

    level: CheckLevel
    name: str
    detail: str


def examine() -> Iterator[InstallationCheck]:
    """Yield the checks of versions, devices, codecs, folders and weights, one by one."""
    yield InstallationCheck("ok", "maskcast", f"{version('maskcast')}, {Path(__file__).parents[1]}")
    yield InstallationCheck("ok", "Python", f"{platform.python_version()}, {sys.executable}")
    yield InstallationCheck(
        "ok", "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    )
    yield from _packages()
    yield from _extras()
    yield from _devices()
    yield _codecs("read", decoders())
    yield _codecs("write", encoders())
    yield from _folders()
    yield from _weights()


def _packages() -> Iterator[InstallationCheck]:
    """Compare the required packages with the installed ones."""
    for requirement in requires("maskcast") or []:
        parts = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
        if parts is None:  # it belongs to an extra
            continue
        name, least = parts.groups()
        installed = _installed(name)
        if installed is None:
            yield InstallationCheck("FAIL", name, f"not installed; maskcast needs {least} or newer")
        elif _numbers(installed) < _numbers(least):
            yield InstallationCheck("FAIL", name, f"{installed}; maskcast needs {least} or newer")
        else:
            yield InstallationCheck("ok", name, installed)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _numbers(release: str) -> tuple[int, ...]:
    """Return the numbers of a version, without suffixes such as ``+cpu`` and ``rc1``."""
    start = re.match(r"\d+(\.\d+)*", release)
    return tuple(map(int, start[0].split("."))) if start else ()


def _extras() -> Iterator[InstallationCheck]:
    for extra, packages in EXTRAS.items():
        releases = {package: _installed(package) for package in packages}
        absent = [package for package, release in releases.items() if release is None]
        if absent:
            yield InstallationCheck("note", f"extra {extra}", f"not installed: {', '.join(absent)}")
        else:
            names = (f"{package} {release}" for package, release in releases.items())
            yield InstallationCheck("ok", f"extra {extra}", ", ".join(names))


def _devices() -> Iterator[InstallationCheck]:
    threads = torch.get_num_threads()
    yield InstallationCheck(
        "ok", "cpu", f"{counted(threads, 'thread')}, {counted(processor_count(), 'usable core')}"
    )
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        yield _gpu(torch.device("cuda", index))
    if not torch.cuda.is_available():
        yield _without_cuda()
    if torch.backends.mps.is_available():
        yield _gpu(torch.device("mps"))


def _gpu(device: torch.device) -> InstallationCheck:
    """Compute on a GPU, because a driver that is too old fails only then."""
    try:
        torch.nn.functional.conv2d(
            torch.ones(1, 1, 4, 4, device=device), torch.ones(1, 1, 3, 3, device=device)
        ).cpu()
    except RuntimeError as error:
        return InstallationCheck("FAIL", str(device), f"{name_of(device)} cannot compute: {error}")
    about = name_of(device)
    if device.type == "cuda":
        about += f", {in_bytes(torch.cuda.get_device_properties(device).total_memory)}"
    return InstallationCheck("ok", str(device), about)


def _without_cuda() -> InstallationCheck:
    build = torch.version.cuda
    reason = f"PyTorch is built for CUDA {build}" if build else "PyTorch is built without CUDA"
    if shutil.which("nvidia-smi"):
        return InstallationCheck(
            "note", "cuda", f"not usable although there is an NVIDIA driver; {reason}"
        )
    return InstallationCheck("ok", "cuda", f"no GPU; {reason}")


def _codecs(verb: str, codecs: Mapping[str, bool]) -> InstallationCheck:
    absent = [name for name, exists in codecs.items() if not exists]
    if absent:
        return InstallationCheck("note", f"videos, {verb}", f"missing in PyAV: {', '.join(absent)}")
    return InstallationCheck("ok", f"videos, {verb}", ", ".join(codecs))


def _folders() -> Iterator[InstallationCheck]:
    yield _folder("this folder", Path.cwd())
    yield _folder("temporary files", Path(tempfile.gettempdir()))
    for name, find in (("weights cache", cache_folder), ("frames of app", frame_cache_folder)):
        try:
            yield _folder(name, find())
        except (MaskcastError, RuntimeError) as error:  # the second one: no home folder
            yield InstallationCheck("note", name, str(error))


def _folder(name: str, folder: Path) -> InstallationCheck:
    try:
        check_writable(folder)
    except MaskcastError as error:
        return InstallationCheck("FAIL" if name == "temporary files" else "note", name, str(error))
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    level: CheckLevel = "note" if free < LITTLE_SPACE else "ok"
    return InstallationCheck(level, name, f"{folder}, {in_bytes(free)} free")


def _weights() -> Iterator[InstallationCheck]:
    for weights in installed_weights():
        try:
            digest = verify_weights(weights.name)
        except MaskcastError as error:
            yield InstallationCheck("FAIL", weights.name, str(error))
        else:
            yield InstallationCheck("ok", weights.name, f"{weights.method}, sha256 {digest[:12]}")
