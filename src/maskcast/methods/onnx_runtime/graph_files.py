"""Load the graphs of an export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcast.methods.onnx_runtime.prompts import Array

FORMAT = 1


class Graphs:
    """The graphs in a folder; files whose hash is not that in the card are rejected."""

    def __init__(
        self,
        folder: str | Path,
        threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        import onnxruntime  # noqa: PLC0415 - the rest works without it

        self.card = json.loads((Path(folder) / "card.json").read_text(encoding="utf-8"))
        if (self.card.get("form"), self.card.get("format")) != ("onnx", FORMAT):
            raise ValueError(f"{folder} does not hold ONNX graphs of format {FORMAT}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._sessions = {}
        for name, about in self.card["graphs"].items():
            content = (Path(folder) / about["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != about["sha256"]:
                raise ValueError(f"{folder}/{about['file']} is damaged or was changed")
            self._sessions[name] = onnxruntime.InferenceSession(
                content, options, providers=list(providers)
            )

    def __contains__(self, name: str) -> bool:
        return name in self._sessions

    def __call__(self, name: str, **inputs: Array) -> dict[str, Array]:
        """Run a graph; a mask or a number is converted to float32."""
        feed = {key: np.ascontiguousarray(array, np.float32) for key, array in inputs.items()}
        results = self._sessions[name].run(None, feed)
        return dict(zip(self.card["graphs"][name]["outputs"], results, strict=True))
