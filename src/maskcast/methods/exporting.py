"""Export a network as graphs for ONNX Runtime, ``torch.export`` or AOTInductor.

Only the network is exported. What a method does around it, such as crops and the memory of LWL, is
done by the program that runs the graphs; ``maskcast_onnx.py``, which is copied into the folder of
an ONNX export, does it with NumPy.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from maskcast.core.config import config_to_dict
from maskcast.core.errors import OutputError, UsageError
from maskcast.core.extras import how_to_install
from maskcast.core.files import make_folder, replacing, write_text
from maskcast.core.progress import Progress
from maskcast.io.weights.files import Weights, sha256_of
from maskcast.io.weights.names import read_weights
from maskcast.methods import runtime_file
from maskcast.methods.catalogue import METHODS, configured, published_files
from maskcast.methods.exported import (
    CARD,
    CHECK,
    FORMAT,
    FREE_LENGTH,
    TOLERANCE,
    Form,
    drawn_inputs,
    read_card,
    surroundings,
)
from maskcast.methods.graphs import Graph, MethodGraphs

OPSET = 20
"""Version of the ONNX operators."""
ENDINGS: Mapping[Form, str] = {"onnx": ".onnx", "pt2": ".pt2", "aoti": ".pt2"}


def export_graphs(
    weights: str | Path,
    folder: Path,
    *,
    form: Form = "onnx",
    size: tuple[int, int] | None = None,
    options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Export weights as graphs into a new folder, and return the card of the folder.

    Args:
        weights: name or path of the weights.
        folder: the folder, which must be empty or missing.
        form: ``onnx``; ``pt2``, which ``torch.export.load`` reads; or ``aoti``, compiled by
            AOTInductor for this machine and version of PyTorch.
        size: height and width of the video's frames, for methods whose graphs depend on it.
        options: settings of the method by name. Steps of the learner, the size of the memory and
            that of the crop are fixed by the export; thresholds can be changed in the card.
        progress: called after every graph, with ``graphs`` as the kind of work.

    Raises:
        UsageError: the method or a setting cannot be exported, or a package is missing.
        MissingFileError, WeightsError: see ``load_segmenter``.
        OutputError: the folder is not empty, or cannot be written to.
    """
    chosen = read_weights(str(weights), published_files())
    texts = {name: str(value) for name, value in (options or {}).items()}
    method, config = configured(chosen, options=texts)
    if method.graphs is None:
        exportable = ", ".join(name for name, other in METHODS.items() if other.graphs)
        raise UsageError(
            f"weights of {chosen.method} cannot be exported as graphs, because the method trains "
            f"its network on the objects of each video; methods with graphs: {exportable}",
            options=("weights",),
        )
    _require_packages(form)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not an empty folder; choose another one")
    made = method.graphs(config, chosen.tensors, size)
    make_folder(folder)
    files: dict[str, Any] = {}
    results: dict[str, np.ndarray] = {}
    for done, (name, graph) in enumerate(made.graphs.items()):
        path = folder / f"{name}{ENDINGS[form]}"
        with _quiet():
            reference = _write(path, name, graph, made, form)
        results |= {f"{name}/{output}": array for output, array in reference.items()}
        files[name] = _described(path, graph, reference)
        if progress is not None:
            progress("graphs", done + 1, len(made.graphs))
    _write_results(folder / CHECK, results)
    card = _card(folder, chosen, config, form=form)
    card |= {"frame_size": size, "free_axes": made.free_axes, "graphs": files}
    if form == "onnx":
        write_text(folder / runtime_file.NAME, runtime_file.runtime_source())
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")
    return read_card(folder)


def _require_packages(form: Form) -> None:
    if form != "onnx":
        return
    try:
        import onnx  # noqa: F401, PLC0415 - optional packages
        import onnxscript  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the form onnx requires {error.name}: {how_to_install('onnx')}", options=("form",)
        ) from error


def _write(
    path: Path, name: str, graph: Graph, made: MethodGraphs, form: Form
) -> dict[str, np.ndarray]:
    """Write one graph, and return its results for the inputs of the check."""
    drawn = drawn_inputs(name, graph.inputs)
    arguments = tuple(torch.from_numpy(array) for array in drawn.values())
    module = graph.module.eval()
    with torch.no_grad():
        results = module(*arguments)
        shapes = _free_axes(graph, made)
        if form == "onnx":
            _write_onnx(path, graph, arguments, shapes)
        else:
            program = torch.export.export(module, arguments, dynamic_shapes=shapes)
            with replacing(path) as temporary:
                if form == "pt2":
                    program.example_inputs = None  # they would be saved
                    torch.export.save(program, temporary)
                else:
                    torch._inductor.aoti_compile_and_package(program, package_path=str(temporary))
    results = results if isinstance(results, tuple) else (results,)
    return dict(zip(graph.outputs, (result.numpy() for result in results), strict=True))


def _write_onnx(path: Path, graph: Graph, arguments: tuple[torch.Tensor, ...], shapes: Any) -> None:
    program = torch.onnx.export(
        graph.module,
        arguments,
        dynamo=True,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        opset_version=OPSET,
        dynamic_shapes=shapes,
        verbose=False,
    )
    assert program is not None
    with replacing(path) as temporary:
        program.save(temporary)


def _free_axes(graph: Graph, made: MethodGraphs) -> tuple[dict[int, Any], ...] | None:
    """Return the free axes of each input as ``torch.export`` takes them; None without any."""
    axes = {
        name: torch.export.Dim(name, min=least, max=most)
        for name, (least, most) in made.free_axes.items()
    }
    shapes = tuple(
        {axis: axes[side] for axis, side in enumerate(spec.shape) if isinstance(side, str)}
        for spec in graph.inputs.values()
    )
    return shapes if any(shapes) else None


def _described(path: Path, graph: Graph, results: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "file": path.name,
        "sha256": sha256_of(path),
        "inputs": {name: asdict(spec) for name, spec in graph.inputs.items()},
        "outputs": {name: list(array.shape) for name, array in results.items()},
    }


def _write_results(path: Path, results: Mapping[str, np.ndarray]) -> None:
    with replacing(path) as temporary:
        plain = {name: np.ascontiguousarray(array) for name, array in results.items()}
        temporary.write_bytes(save(plain))


def _card(folder: Path, weights: Weights, config: Any, *, form: Form) -> dict[str, Any]:
    """Return the part of the card that is not about single graphs."""
    packages = ("onnx", "onnxscript") if form == "onnx" else ()
    return {
        "format": FORMAT,
        "form": form,
        "method": weights.method,
        "weights": {"name": weights.name, "sha256": weights.sha256},
        "licence": weights.card.get("licence", "not stated"),
        "config": config_to_dict(config),
        "check": {
            "file": CHECK,
            "sha256": sha256_of(folder / CHECK),
            "tolerance": TOLERANCE,
            "free_length": FREE_LENGTH,
        },
        "surroundings": surroundings(),
        "versions": {name: version(name) for name in ("maskcast", *packages)},
        **({"opset": OPSET} if form == "onnx" else {}),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings and messages of the exporters, which are about their own code."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for one in loggers:
                one.setLevel(logging.ERROR)
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)
