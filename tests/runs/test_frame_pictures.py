"""The files of one frame, from a run that stores its masks in one file."""

from __future__ import annotations

import numpy as np
from PIL import Image

from maskcast.io.label_maps import read_label_map
from maskcast.runs.fingerprint import fingerprint
from maskcast.runs.frame_pictures import write_frame_pictures
from maskcast.runs.masks import mask_store
from runs.small_run import COUNT, VIDEO, frame_name, run_into


def test_masks_in_one_file_are_written_as_a_png(tmp_path):
    video = tmp_path / "video"
    video.mkdir()
    for index, frame in enumerate(VIDEO):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(video / f"{frame_name(index)}.png")
    run = tmp_path / "run"
    run_into(run, masks="rle")
    card = run / "run.json"
    card.write_text(card.read_text().replace("1" * 64, fingerprint(video)))
    files = write_frame_pictures(video, str(COUNT - 1), tmp_path / "out", run=run)
    assert files.label_map == tmp_path / "out" / "00011.png"
    expected = mask_store("rle", run, frame_name).read(COUNT - 1)
    assert np.array_equal(read_label_map(files.label_map), expected)
    assert set(np.unique(expected)) == {0, 1, 2}
    assert files.overlay is not None and files.overlay.is_file()
