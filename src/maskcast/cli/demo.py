"""``maskcast demo``: segment a synthetic clip and score the result against its ground truth."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import tyro

from maskcast.cli.arguments import Device, MethodName, Options, WeightsArgument
from maskcast.cli.run_result import print_result
from maskcast.cli.terminal import say
from maskcast.core.config import options_from
from maskcast.core.errors import UsageError
from maskcast.core.heap import keep_freed_memory, quick_imports

if TYPE_CHECKING:
    from maskcast.data.synthetic.clips import SyntheticClip


def demo(
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("maskcast-demo"),
    frames: int = 72,
    weights: WeightsArgument = None,
    method: MethodName = None,
    option: Options = (),
    device: Device = "auto",
) -> None:
    """Render a synthetic clip of two objects, segment it from its first masks, score the result.

    Writes the frames to OUTPUT/clip, the ground truth to OUTPUT/truth, the predicted masks to
    OUTPUT/masks, and an overlay video and a contact sheet to OUTPUT/masks/exports. Prints the speed
    and J&F, the mean of region similarity and contour accuracy over all objects and frames, by the
    rules of DAVIS.

    Args:
        output: output folder; an earlier demo in it is replaced.
        frames: length of the clip in frames, at 24 frames per second; at least 3.
        weights: name or file of the weights; default: lwl-small, which is part of the package.
        method: a method, run with its default weights.
        option: NAME=VALUE, a setting of the method.
        device: auto (a GPU if there is one), cpu, cuda, a specific GPU (cuda:1) or mps.
    """
    with quick_imports():
        from maskcast.cli.progress import TerminalProgress
        from maskcast.data.synthetic.demo import make_demo_clip
        from maskcast.methods.spec import SegmenterSpec
        from maskcast.runs.card import read_card
        from maskcast.runs.export_settings import Exports
        from maskcast.runs.video_request import VideoRequest
        from maskcast.runs.video_run import run_video

    if frames < 3:
        raise UsageError(
            f"the clip needs at least 3 frames to be scored, got {frames}", options=("frames",)
        )
    keep_freed_memory()
    earlier = read_card(output / "masks")
    clip = make_demo_clip(frames=frames)
    _write(clip, output)
    request = VideoRequest(
        video=output / "clip",
        masks=(output / "truth" / "00000.png",),
        output=output / "masks",
        exports=Exports(overlay=True, contact_sheet=True),
        overwrite=earlier is not None and Path(earlier.request.input).name == "clip",
    )
    segmenter = SegmenterSpec(
        weights=weights, method=method, options=options_from(option), device=device
    )
    with TerminalProgress() as progress:
        result = run_video(request, segmenter, progress=progress, report=say)
    print_result(request.output, result)
    region, contour = score(clip, request.output)
    print(f"J&F {50 * (region + contour):.1f}  (J {100 * region:.1f}, F {100 * contour:.1f})")
    card = result.card
    print(f"{card.steps / card.seconds.total:.1f} frames per second on {card.device}")


def score(clip: SyntheticClip, masks: Path) -> tuple[float, float]:
    """Return mean J and mean F, 0..1, over all objects and all frames except the first and last."""
    from maskcast.io.label_maps import read_label_map
    from maskcast.metrics.frame import score_object

    predicted = [read_label_map(path) for path in sorted(masks.glob("*.png"))[1:-1]]
    pairs = [
        (label_map == object_id, true_map == object_id)
        for label_map, true_map in zip(predicted, clip.label_maps[1:-1], strict=True)
        for object_id in clip.ids
    ]
    scores = [score_object(*pair) for pair in pairs]
    return fmean(one.J for one in scores), fmean(one.F for one in scores)


def _write(clip: SyntheticClip, folder: Path) -> None:
    from PIL import Image

    from maskcast.core.files import replacing
    from maskcast.io.label_maps import write_label_map

    earlier = [*folder.glob("clip/*.png"), *folder.glob("truth/*.png")]
    for path in earlier:
        if path.stem.isdecimal() and int(path.stem) >= len(clip.frames):
            path.unlink()
    for frame_index, (pixels, true_map) in enumerate(
        zip(clip.frames, clip.label_maps, strict=True)
    ):
        name = f"{frame_index:05d}.png"
        with replacing(folder / "clip" / name) as temporary:
            Image.fromarray(pixels).save(temporary, compress_level=1)
        write_label_map(folder / "truth" / name, true_map)
