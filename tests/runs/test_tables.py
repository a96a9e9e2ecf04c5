"""Tables written from the masks of a program are those of a run."""

from __future__ import annotations

import csv
import json

import numpy as np
import torch

import maskcast
from maskcast.io.rle import decode_mask


def two_frames() -> list[maskcast.ObjectMasks]:
    first, second = torch.zeros(2, 6, 8), torch.zeros(2, 6, 8)
    first[0, 1:3, 1:5], first[1, 4:6, 0:2] = 0.75, 0.9
    second[1, 4:6, 0:3] = 0.8
    return [maskcast.ObjectMasks((3, 5), first), maskcast.ObjectMasks((3, 5), second)]


def test_tracks_have_area_box_confidence_and_event(tmp_path):
    maskcast.write_tracks(str(tmp_path / "t.csv"), two_frames(), names=["a", "b"])
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["object_id"], row["area"], row["event"]) for row in rows] == [
        ("a", "3", "8", "first"),
        ("a", "5", "4", "first"),
        ("b", "3", "0", "lost"),
        ("b", "5", "6", ""),
    ]
    assert [rows[0][side] for side in ("x", "y", "width", "height")] == ["1", "1", "4", "2"]
    assert (rows[0]["confidence"], rows[2]["confidence"]) == ("0.75", "")


def test_run_lengths_give_the_masks_back(tmp_path):
    found = two_frames()
    maskcast.write_rle(tmp_path / "m.json", found, video_id="clip")
    entries = json.loads((tmp_path / "m.json").read_text())
    assert [(e["video_id"], e["frame"], e["object_id"]) for e in entries] == [
        ("clip", 0, 3),
        ("clip", 0, 5),
        ("clip", 1, 5),
    ]
    for entry in entries:
        mask = found[entry["frame"]].mask(entry["object_id"]).numpy()
        np.testing.assert_array_equal(decode_mask(entry["segmentation"]), mask)
