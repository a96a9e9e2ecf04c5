"""Masks of a frame as supervision knows them."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import UsageError
from maskcast.core.types import ObjectMasks
from maskcast.io.annotations import detections
from maskcast.io.annotations.detections import to_detections


def masks() -> ObjectMasks:
    """Object 4 covers 6 pixels with 0.75, object 2 is not visible, object 9 covers one pixel."""
    probs = torch.zeros(3, 5, 6)
    probs[0, 1:3, 2:5] = 0.75
    probs[2, 4, 0] = 1.0
    return ObjectMasks((4, 2, 9), probs)


def test_visible_objects_have_boxes_masks_and_ids():
    pytest.importorskip("supervision")
    found = to_detections(masks(), names={9: "bird", 2: "bird"})
    assert found.xyxy.tolist() == [[2, 1, 5, 3], [0, 4, 1, 5]]
    assert found.tracker_id.tolist() == [4, 9]
    assert found.confidence.tolist() == [0.75, 1.0]
    assert found.data["class_name"].tolist() == ["object", "bird"]
    assert found.class_id.tolist() == [1, 0]
    assert found.mask.sum(axis=(1, 2)).tolist() == [6, 1]
    assert found.area.tolist() == [6, 1]


def test_no_object_is_an_empty_result():
    pytest.importorskip("supervision")
    assert len(to_detections(ObjectMasks((), torch.zeros(0, 5, 6)))) == 0


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(detections.importlib, "import_module", missing)
    with pytest.raises(UsageError, match="pip install supervision"):
        to_detections(masks())
