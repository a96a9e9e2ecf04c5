"""``maskcast app``: mark, track, correct and export in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from maskcast.cli.arguments import (
    Device,
    MethodName,
    Options,
    Texts,
    WeightsArgument,
    repeatable,
    shown_as,
)
from maskcast.core.config import options_from
from maskcast.core.errors import UsageError
from maskcast.core.extras import how_to_install


def app(
    video: Annotated[Positional[Path | None], shown_as("VIDEO|RUN")] = None,
    *,
    output: Annotated[Path | None, shown_as("FOLDER", short="-o")] = None,
    root: Annotated[Path, shown_as("FOLDER", None)] = Path(),
    weights: WeightsArgument = None,
    method: MethodName = None,
    option: Options = (),
    device: Device = "auto",
    threads: Annotated[int | None, shown_as("COUNT")] = None,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_network: bool = False,
    allow_host: Annotated[Texts, repeatable("NAME")] = (),
    max_upload: Annotated[float, shown_as("GIB", None)] = 8.0,
    no_browser: bool = False,
) -> None:
    """Mark, track, correct and export in the browser.

    Prints an address and opens it. Everything you do is saved in an ordinary run folder as you
    work, so you can close the page or stop the server at any time, and continue with the same
    folder in the browser or on the command line.

    Examples: choose a video on the page; open one; continue with a run folder:
        maskcast app
        maskcast app clip.mp4
        maskcast app maskcast-runs/clip

    Args:
        video: a video file, a folder of frames, or a run folder.
        output: the run folder; default: maskcast-runs/VIDEO below the root.
        root: folder from which the page may open videos and run folders.
        weights: name or file of the weights; default: lwl-small, which is part of the package.
        method: a method, run with its default weights.
        option: NAME=VALUE, a setting of the method; maskcast info METHOD lists the settings.
        device: device to compute on: auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.
        threads: CPU threads; default: one per core.
        host: address to listen on; all but loopback addresses require --allow-network.
        port: port to listen on; 0 chooses a free one.
        allow_network: allow an address that other machines can reach. Traffic is not encrypted.
        allow_host: another host name of the server, such as that of a proxy.
        max_upload: maximum size of an upload in GiB.
        no_browser: do not open the browser.
    """
    try:
        from maskcast.web.serve import ServeOptions, serve
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("starlette", "uvicorn", "anyio", "h11", "click"):
            raise
        raise UsageError(
            f"the browser application needs {missing}: {how_to_install('app')}"
        ) from error
    from maskcast.web.messages import SegmenterChoice

    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, got {threads}", options=("threads",))
    if not 0 <= port < 2**16:
        raise UsageError(f"port must be in [0, 65535], got {port}", options=("port",))
    if not 0 < max_upload < 2**20:
        raise UsageError(
            f"max_upload must be greater than 0, got {max_upload}", options=("max_upload",)
        )
    chosen = SegmenterChoice(
        weights=weights,
        method=method,
        options=options_from(option),
        device=device,
        threads=threads,
    )
    options = ServeOptions(
        video=video,
        output=output,
        root=root,
        segmenter=chosen,
        host=host,
        port=port,
        allow_network=allow_network,
        allow_hosts=allow_host,
        most_upload=int(max_upload * 2**30),
        browser=not no_browser,
    )
    serve(options, lambda line: print(line, flush=True))
