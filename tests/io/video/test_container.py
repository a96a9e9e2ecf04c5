"""Tags of a video that are not UTF-8."""

from pathlib import Path

import av
import numpy as np

from maskcast.io.video.source import open_frames


def test_tags_that_are_not_utf8_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(path, "w") as container:
        container.metadata["title"] = "QQQQQQ"
        streams = [container.add_stream("ffv1", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for stream in streams:
            for value in (10, 200):
                picture = np.full((16, 32, 3), value, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())
    content = path.read_bytes()
    assert content.count(b"QQQQQQ") == 1
    path.write_bytes(content.replace(b"QQQQQQ", b"\xc3\x28QQQQ"))
    assert len(list(open_frames(path).pictures())) == 2
