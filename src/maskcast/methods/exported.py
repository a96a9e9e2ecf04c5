"""Open a folder of exported graphs, run them, and check them on this machine.

The folder holds one file per graph, ``card.json``, which describes them, and ``check.safetensors``,
the results that PyTorch computed at the export. Programs without PyTorch use ``maskcast_onnx.py``
in the same folder instead of this module.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from zlib import crc32

import numpy as np
from jaxtyping import Float

from maskcast.core.errors import DataError, MissingFileError, UsageError
from maskcast.core.extras import how_to_install
from maskcast.core.files import path_inside
from maskcast.core.strict_json import read_json
from maskcast.io.weights.files import sha256_of
from maskcast.methods.graphs import GraphInput

Form: TypeAlias = Literal["onnx", "pt2", "aoti"]
Arrays: TypeAlias = Mapping[str, np.ndarray]

FORMS_WITHOUT_CODE: tuple[Form, ...] = ("onnx",)
"""Forms whose files are data; loading any other one may run code that is in them."""
CARD = "card.json"
CHECK = "check.safetensors"
FORMAT = 1
TOLERANCE = 1e-4
"""Greatest deviation of a result in a check, relative to its largest value."""
FREE_LENGTH = 2
"""Length of a free axis in a check."""


@dataclass(frozen=True)
class Deviation:
    """How far a result on this machine is from that of the export."""

    graph: str
    output: str
    relative: float
    """Greatest difference, relative to the largest value."""

    @property
    def is_small(self) -> bool:
        """Whether it is within the tolerance; a result that is not a number is not."""
        return self.relative <= TOLERANCE


class ExportedGraphs:
    """The graphs in a folder; every file is compared with its hash before it is used.

    The hashes are in the same folder, so they protect from damage, not from attackers. Graphs of
    the form ``onnx`` are data. Those of ``aoti`` are machine code, and PyTorch may unpickle objects
    when it loads those of ``pt2``; both can do anything that the user can.

    Args:
        folder: the folder.
        trust_code: whether the graphs may run code of whoever made the folder; ``pt2`` and ``aoti``
            require it.

    Raises:
        MissingFileError: the folder or one of its files does not exist.
        DataError: the folder was not exported completely, or a file has been changed.
        UsageError: the form requires ``trust_code``, or compiled graphs do not fit this machine or
            version of PyTorch.
    """

    def __init__(self, folder: Path, *, trust_code: bool = False) -> None:
        self.folder = folder
        self.card = read_card(folder)
        self.form: Form = self.card["form"]
        if self.form not in FORMS_WITHOUT_CODE and not trust_code:
            raise UsageError(
                f"graphs of the form {self.form} run code that is in their files; load them only "
                f"if you made {folder} or trust who did",
                options=("trust_code",),
            )
        if self.form == "aoti":
            _check_surroundings(self.card)
        for about in (*self.card["graphs"].values(), self.card["check"]):
            _check_file(path_inside(folder, about["file"]), about["sha256"])
        self._loaded: dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]] = {}

    def run(self, graph: str, inputs: Arrays) -> dict[str, Float[np.ndarray, "..."]]:
        """Run a graph; inputs and results have the names in the card."""
        about = self.card["graphs"][graph]
        if graph not in self._loaded:
            self._loaded[graph] = _LOADERS[self.form](self.folder / about["file"])
        results = self._loaded[graph]([inputs[name] for name in about["inputs"]])
        return dict(zip(about["outputs"], results, strict=True))

    def check(self) -> list[Deviation]:
        """Run every graph on the inputs of the check, and compare the results."""
        from safetensors.numpy import load_file  # noqa: PLC0415 - not needed to run graphs

        expected = load_file(self.folder / CHECK)
        deviations = []
        for graph, about in self.card["graphs"].items():
            specs = {name: GraphInput(**_tuples(spec)) for name, spec in about["inputs"].items()}
            for output, array in self.run(graph, drawn_inputs(graph, specs)).items():
                reference = expected[f"{graph}/{output}"]
                scale = max(float(np.abs(reference).max()), 1e-6)
                deviation = float(np.abs(array - reference).max()) / scale
                deviations.append(Deviation(graph, output, deviation))
        return deviations


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a folder of exported graphs.

    Raises:
        MissingFileError: there is no card.
        DataError: the card is damaged, or was written by a later version.
    """
    path = folder / CARD
    if not path.is_file():
        raise MissingFileError(
            f"{folder} has no {CARD}; it is not a folder of exported graphs, or its export was "
            "interrupted"
        )
    card = read_json(path)
    if not isinstance(card, dict) or "graphs" not in card:
        raise DataError(f"{path} is not the card of exported graphs")
    if card.get("format") != FORMAT:
        raise DataError(
            f"{path} has format {card.get('format')}, which this version does not read; export the "
            "weights again"
        )
    return card


def drawn_inputs(
    graph: str, inputs: Mapping[str, GraphInput]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Draw the inputs of a check; they depend only on the names and the ranges.

    The raw numbers of this generator are the same in every version of NumPy.
    """
    drawn = {}
    for name, spec in inputs.items():
        shape = [FREE_LENGTH if isinstance(side, str) else side for side in spec.shape]
        raw = np.random.PCG64(crc32(f"{graph}/{name}".encode())).random_raw(int(np.prod(shape)))
        share = (raw >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
        share = (share > 0.5).astype(np.float32) if spec.is_mask else share
        values = np.float32(spec.low) + share * np.float32(spec.high - spec.low)
        drawn[name] = values.reshape(shape).astype(np.float32)
    return drawn


def surroundings() -> dict[str, str]:
    """Return what compiled graphs are tied to."""
    import torch  # noqa: PLC0415 - not needed for ONNX

    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "device": "cpu",
        "torch": torch.__version__,
    }


def _check_surroundings(card: Mapping[str, Any]) -> None:
    here, there = surroundings(), card["surroundings"]
    for name, value in here.items():
        if value != there[name]:
            raise UsageError(
                f"these graphs were compiled for {name} {there[name]}, but this is {value}; export "
                "the weights again here, or use the form onnx or pt2"
            )


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; export the weights again")
    if sha256_of(path) != sha256:
        raise DataError(
            f"{path} is damaged or was changed: its SHA-256 is not that in {CARD}; export the "
            "weights again"
        )


def _tuples(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, "shape": tuple(spec["shape"])}


def _load_onnx(path: Path) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    try:
        import onnxruntime  # noqa: PLC0415 - an optional package
    except ModuleNotFoundError as error:
        raise UsageError(
            f"running ONNX graphs requires onnxruntime: {how_to_install('onnx')}"
        ) from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        results: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
        return results

    return run


def _load_pt2(path: Path) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    import torch  # noqa: PLC0415 - not needed for ONNX

    return _with_arrays(torch.export.load(path).module())


def _load_aoti(path: Path) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    import torch  # noqa: PLC0415 - not needed for ONNX

    return _with_arrays(torch._inductor.aoti_load_package(str(path)))


def _with_arrays(module: Callable[..., Any]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    import torch  # noqa: PLC0415 - not needed for ONNX

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            results = module(*map(torch.from_numpy, arrays))
        results = results if isinstance(results, tuple | list) else (results,)
        return [result.numpy() for result in results]

    return run


_LOADERS = {"onnx": _load_onnx, "pt2": _load_pt2, "aoti": _load_aoti}
