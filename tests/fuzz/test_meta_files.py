"""Fuzz the readers of lists and meta files of data sets."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.small_sets import davis2017, youtube_vos
from fuzz.budget import Fuzz
from fuzz.mutations import damaged, resembling
from maskcast.core.errors import DataError
from maskcast.data.catalogue import open_dataset


def test_meta_json(fuzz: Fuzz, tmp_path: Path):
    root = youtube_vos(tmp_path, {"ants": {1: 0, 3: 2}, "cows": {2: 1}}, split="valid")
    (path,) = root.rglob("meta.json")
    good = path.read_bytes()

    def opens_or_rejects(content: str | bytes) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            dataset = open_dataset("youtube-vos-2019", root, purpose="score")
        except DataError:
            return
        assert {video.name for video in dataset} <= {"ants", "cows"}

    fuzz(damaged([good]) | resembling([json.loads(good)]), opens_or_rejects)


def test_lists(fuzz: Fuzz, tmp_path: Path):
    root = davis2017(tmp_path, {"ants": {1: 0}, "cows": {2: 0}})
    (path,) = root.rglob("val.txt")

    def opens_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            dataset = open_dataset("davis2017", root, purpose="segment")
        except DataError:
            return
        assert {video.name for video in dataset} <= {"ants", "cows"}

    fuzz(damaged([path.read_bytes()]), opens_or_rejects)
