"""Sampling of training snippets, step by step as section 11 of the specification says."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.clips import DrawnClip
from maskcast.methods.agame.training.config import SnippetConfig
from maskcast.methods.agame.training.snippets import (
    ClipSnippets,
    Snippet,
    VideoSnippets,
    augmented,
    zoomed,
)

SMALL = SnippetConfig(size=(16, 32), length=3, visible_pixels=20, flip=0.0)


@dataclass(frozen=True)
class MadeVideo:
    """Frames show their own number; ids lie in columns, each as wide as told."""

    name: str
    columns: tuple[tuple[tuple[int, int], ...] | None, ...]
    """For each frame (id, width) from the left; None without annotation."""
    has_void: bool = True

    @property
    def frame_names(self) -> tuple[str, ...]:
        return tuple(f"{index:05}" for index in range(len(self.columns)))

    def read_frame(self, frame_index: int, /) -> np.ndarray:
        return np.full((16, 32, 3), frame_index, np.uint8)

    def read_annotation(self, frame_index: int, /) -> np.ndarray | None:
        columns = self.columns[frame_index]
        if columns is None:
            return None
        label_map = np.zeros((16, 32), np.int32)
        left = 0
        for object_id, width in columns:
            label_map[:, left : left + width] = object_id
            left += width
        return label_map


BIG, TINY, NOTHING = ((1, 8),), ((1, 1),), ()


def draws(video: MadeVideo, config: SnippetConfig = SMALL, count: int = 40) -> list[Snippet]:
    source = VideoSnippets("test", [video], config)
    generator = np.random.default_rng(0)
    return [source.draw(0, generator) for _ in range(count)]


def frames_of(snippet: Snippet) -> tuple[int, ...]:
    return tuple(int(frame[0, 0, 0]) for frame in snippet.frames)


def test_snippets_start_where_something_is_visible_and_take_the_frames_after_it() -> None:
    video = MadeVideo("v", (TINY, BIG, TINY, BIG, NOTHING, BIG))
    assert {frames_of(snippet) for snippet in draws(video)} == {(1, 2, 3), (3, 4, 5)}


def test_frames_before_the_first_and_after_the_last_annotation_do_not_count() -> None:
    video = MadeVideo("v", (None, None, BIG, BIG, BIG, None, None))
    assert {frames_of(snippet) for snippet in draws(video)} == {(2, 3, 4)}


def test_videos_that_are_too_short_from_the_first_visible_frame_are_left_out() -> None:
    late = MadeVideo("late", (TINY, TINY, BIG, BIG))
    enough = MadeVideo("enough", (BIG, BIG, BIG))
    source = VideoSnippets("test", [late, enough, MadeVideo("none", (None, None, None))], SMALL)
    assert [video.name for video in source.videos] == ["enough"]
    with pytest.raises(DatasetError, match="3 frames from the first visible"):
        VideoSnippets("test", [late], SMALL)


def test_one_of_the_large_objects_becomes_1_and_the_others_background() -> None:
    video = MadeVideo("v", (((4, 8), (9, 1), (7, 5)),) * 3)
    areas = {int(snippet.labels[0].sum()) for snippet in draws(video)}
    assert areas == {16 * 8, 16 * 5}  # id 9 has 16 pixels, not more than 25
    assert {value for s in draws(video) for value in s.labels.unique().tolist()} == {0, 1}


def test_void_becomes_background_but_a_missing_annotation_stays_void() -> None:
    video = MadeVideo("v", (((1, 8), (255, 8)), None, BIG))
    snippet = draws(video, count=1)[0]
    assert snippet.labels[0].unique().tolist() == [0, 1]
    assert snippet.labels[0].sum() == 16 * 8
    assert snippet.labels[1].eq(255).all()


def test_all_objects_can_be_one() -> None:
    video = MadeVideo("v", (((4, 8), (7, 5)),) * 3)
    source = VideoSnippets("test", [video], SMALL, single_object=True)
    assert source.draw(0, np.random.default_rng(0)).labels[0].sum() == 16 * 13


def test_validation_takes_the_first_visible_frame_and_the_lowest_id() -> None:
    video = MadeVideo("v", (NOTHING, ((2, 1), (5, 8), (3, 8)), BIG, BIG, BIG))
    snippet = VideoSnippets("test", [video], SMALL).first(0)
    assert snippet is not None
    assert frames_of(snippet) == (1, 2, 3)
    assert "object 3" in snippet.name  # id 2 is too small


def test_longer_steps_stay_inside_the_video() -> None:
    config = replace(SMALL, longest_step=3)
    found = {frames_of(s) for s in draws(MadeVideo("v", (BIG,) * 6), config, count=100)}
    assert {(0, 1, 2), (0, 2, 4), (3, 4, 5), (1, 3, 5)} <= found
    assert max(last for *_, last in found) == 5
    assert all(b - a == c - b for a, b, c in found)


def test_frames_and_labels_are_resized_together_without_keeping_the_aspect() -> None:
    video = MadeVideo("v", (BIG,) * 3)
    snippet = draws(video, replace(SMALL, size=(48, 32)), count=1)[0]
    assert snippet.frames.shape == (3, 3, 48, 32)
    assert snippet.labels[0, :, :8].eq(1).all()
    assert snippet.labels[0, :, 8:].eq(0).all()


def test_large_frames_are_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200

    class Striped:
        name = "stripes"

        def __len__(self) -> int:
            return 1

        def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
            masks = (np.ones((64, 64), np.uint8),) * 3
            return DrawnClip("stripes", (stripes,) * 3, masks)

    snippet = ClipSnippets(Striped(), SMALL).draw(0, np.random.default_rng(0))
    assert snippet.frames[..., 4:-4].float().sub(100).abs().max() < 30
    expected = np.asarray(Image.fromarray(stripes).resize((32, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(snippet.frames[0].permute(1, 2, 0).numpy(), expected)


def test_mirroring_turns_frames_and_labels() -> None:
    frames = torch.arange(32, dtype=torch.uint8).expand(3, 3, 16, 32)
    labels = (torch.arange(32) < 8).to(torch.uint8).expand(3, 16, 32)
    config, generator = replace(SMALL, flip=0.5), np.random.default_rng(0)
    found = [augmented(Snippet(frames, labels, ""), config, generator) for _ in range(60)]
    mirrored = [bool(snippet.labels[0, 0, -1]) for snippet in found]
    assert 15 < sum(mirrored) < 45
    assert all(
        s.frames[0, 0, 0, 0] == (31 if m else 0) for s, m in zip(found, mirrored, strict=True)
    )


def test_zoom_grows_from_frame_to_frame_around_the_middle() -> None:
    labels = torch.zeros(3, 64, 64, dtype=torch.uint8)
    labels[:, 24:40, 24:40] = 1
    frames = (labels[:, None] * 200).expand(-1, 3, -1, -1)
    new_frames, new_labels = zoomed(frames, labels, 1.1)
    sides = [int(label.sum()) ** 0.5 for label in new_labels]
    assert sides == pytest.approx([16 * 1.1, 16 * 1.21, 16 * 1.331], abs=1.0)
    for label in new_labels:
        rows = label.any(dim=1).nonzero().flatten()
        assert abs(int(rows[0]) - (63 - int(rows[-1]))) <= 1
    assert (new_frames[:, 0] > 100).eq(new_labels == 1).float().mean() > 0.99
    same_frames, same_labels = zoomed(frames, labels, 1.0)
    assert same_frames.equal(frames)
    assert same_labels.equal(labels)


@pytest.mark.parametrize(
    "settings", [{"size": (100, 160)}, {"length": 1}, {"longest_step": 0}, {"flip": 1.5}]
)
def test_nonsense_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SnippetConfig(**settings)  # type: ignore[arg-type]
