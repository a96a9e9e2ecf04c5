"""Frames are uploaded by the thread that reads them, and used without another copy."""

from __future__ import annotations

import threading

import pytest
import torch

from contract.coloured_video import frames, true_mask
from fixtures.pretended_cuda import CUDA, PretendedCuda
from maskcast.core.guarded import GuardedSegmenter
from maskcast.core.overlap import InBackground
from maskcast.core.segmenter import segment_video
from maskcast.core.transfers import FrameUploads, on_device, own_stream
from maskcast.methods.catalogue import METHODS

CPU = torch.device("cpu")


def test_an_upload_is_used_once_it_is_complete():
    frame = torch.rand(3, 4, 5)
    with PretendedCuda() as card:
        here = FrameUploads(CUDA).sent(frame)
        there = on_device(here, CUDA)
        assert there.device == CUDA
        assert on_device(here, CUDA) is there
        assert len(card.stream.waited) == 2
        assert there.cpu().equal(frame)
        assert on_device(frame, CUDA) is not there
        assert len(card.stream.waited) == 2  # nothing had been sent
    assert here is not frame
    frame.zero_()  # as a camera does
    assert here.any()


@pytest.mark.parametrize("device", [None, CPU], ids=str)
def test_without_a_gpu_a_frame_is_copied(device):
    frame = torch.rand(3, 4, 5)
    here = FrameUploads(device).sent(frame)
    assert here is not frame and here.equal(frame)
    assert on_device(here, CPU) is here


def test_all_jobs_run_on_a_stream_of_their_thread(monkeypatch):
    used: list[str] = []

    class Entered:
        def __init__(self, stream: object) -> None:
            pass

        def __enter__(self) -> None:
            used.append(threading.current_thread().name)

        def __exit__(self, *_: object) -> None:
            used.append("left")

    with PretendedCuda():
        monkeypatch.setattr(torch.cuda, "stream", Entered)
        with InBackground(name="writer", within=lambda: own_stream(CUDA)) as background:
            background.do(lambda: used.append("job"))
        assert used == ["writer", "job", "left"]
        with own_stream(CPU):
            assert len(used) == 3


@pytest.mark.parametrize("method", ["lwl", "agame"])
def test_a_video_is_segmented_from_uploads(method):
    video, prompts = frames(3, (1,), size=(49, 66)), {0: {1: true_mask(1, 0, (49, 66))}}
    chosen = METHODS[method]
    expected = list(segment_video(chosen.build(chosen.tiny(), None), video, prompts))
    with PretendedCuda() as card:
        segmenter = chosen.build(chosen.tiny(), None, device=CUDA)
        found = list(segment_video(segmenter, video, prompts))
        assert len(card.stream.waited) == 3
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.probs.cpu(), other.probs, rtol=0, atol=1e-4)
    assert GuardedSegmenter(chosen.build(chosen.tiny(), None), "cpu").device == CPU
