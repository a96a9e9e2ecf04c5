"""Serve the application with the stand-in method, which follows colours.

Run it as ``serve_stand_in.py ROOT [VIDEO]``.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from maskcast.web import serve
from maskcast.web.messages import SegmenterChoice


def main(root: str, *video: str) -> None:
    # The worker process alone knows the method, so that this one starts without torch.
    serve.Session = partial(serve.Session, model="fixtures.stand_in_worker")  # type: ignore[misc]
    options = serve.ServeOptions(
        video=Path(video[0]) if video else None,
        root=Path(root),
        segmenter=SegmenterChoice(weights=str(Path(root) / "colours.safetensors")),
        port=int(os.environ.get("MASKCAST_TEST_PORT", "0")),
        browser=False,
    )
    serve.serve(options, partial(print, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
