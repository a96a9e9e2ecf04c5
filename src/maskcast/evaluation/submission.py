"""Build and check the archives that benchmark servers expect; a check reports every problem.

| server                       | archive                                                           |
|------------------------------|-------------------------------------------------------------------|
| DAVIS, MOSE                  | ``<video>/<frame>.png`` for every frame, without an outer folder  |
| YouTube-VOS, LVOS            | ``Annotations/<video>/<frame>.png``, labelled frames only         |
| SA-V                         | ``<video>/<object>/<frame>.png``                                  |

All PNGs are indexed, with the DAVIS palette, and as large as the images; pixels are the given ids.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath

import numpy as np

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError, UsageError
from maskcast.core.files import replacing
from maskcast.data.catalogue import DATASETS, benchmark_of
from maskcast.data.dataset import Dataset, Video, listed
from maskcast.evaluation.predictions import PredictedFrame, Predictions, open_predictions
from maskcast.io.archives import DAMAGED, EARLIEST, open_zip, unpacked, zip_faults
from maskcast.io.label_maps import decode_label_map, encode_label_map, ids_in
from maskcast.io.pictures import picture_header


def build_submission(dataset: Dataset, results: Path, output: Path) -> int:
    """Write the archive, and return the number of masks in it.

    Masks are encoded again with the DAVIS palette; frames that the server does not expect are left
    out.

    Args:
        dataset: opened for segmenting.
        results: a folder or ZIP of predictions, such as ``RUN/masks`` of an evaluation.
        output: the ZIP, which is written atomically.

    Raises:
        DataError: predictions are missing or unusable; the error lists all problems.
        UsageError: there is no server for the data set.
        OutputError: the archive cannot be written.
    """
    around = around_videos(dataset.name)
    predictions = open_predictions(results, [video.name for video in dataset])
    faults: list[str] = []
    count = 0
    with replacing(output) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for video in dataset:
                for name, content in _members(video, predictions, faults):
                    archive.writestr(zipfile.ZipInfo(around + name, EARLIEST), content)
                    count += 1
        if faults:
            raise DataError.listing(f"cannot submit {results}", faults)
    return count


def check_submission(path: Path, dataset: Dataset | None, name: str | None = None) -> list[str]:
    """Return every problem in an archive, one line of text each.

    Args:
        path: the ZIP.
        dataset: opened for segmenting; if None, only the format of the archive is checked.
        name: name of the data set, if ``dataset`` is None.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not a ZIP archive.
        UsageError: there is no server for the data set.
    """
    name = dataset.name if dataset is not None else name
    around = None if name is None else around_videos(name)
    with closing(open_zip(path)) as archive:
        faults = zip_faults(archive)
        if faults:  # unsafe to read further
            return faults
        files = [member.filename for member in archive.infolist() if not member.is_dir()]
        pngs, faults = _sorted_out(files)
        if around is None:
            around = _likely_prefix(pngs)
        inside = [png for png in pngs if png.startswith(around)]
        relative = {png.removeprefix(around): png for png in inside}
        faults += _path_faults(pngs, relative, around, dataset)
        if dataset is None:
            return faults + _form_faults(archive, relative)
        for video in dataset:
            faults += _video_faults(archive, relative, video)
    return faults


def around_videos(name: str) -> str:
    """Return the outer folder of a data set's archive with a trailing slash; may be empty.

    Raises:
        UsageError: the data set is unknown, or has no server.
    """
    prefix = benchmark_of(name).server_prefix
    if prefix is None:
        known = ", ".join(key for key, entry in DATASETS.items() if entry.server_prefix is not None)
        raise UsageError(
            f"there is no server for {name!r}, score the results here; servers exist for {known}",
            options=("dataset",),
        )
    return prefix


def _likely_prefix(names: list[str]) -> str:
    """Return the outer folder of any server that occurs in these names; empty if none does."""
    prefixes = {entry.server_prefix for entry in DATASETS.values() if entry.server_prefix}
    return next((p for p in sorted(prefixes) if any(n.startswith(p) for n in names)), "")


def wanted_names(video: Video) -> dict[str, int]:
    """Return the names of the masks that a server expects, with their frame indices."""
    names: dict[str, int] = {}
    for frame_index in video.wanted_frames:
        frame = video.frame_names[frame_index]
        if video.layout == "object_folders":
            for folder in video.object_names.values():
                names[f"{video.name}/{folder}/{frame}.png"] = frame_index
        else:
            names[f"{video.name}/{frame}.png"] = frame_index
    return names


def _members(
    video: Video, predictions: Predictions, faults: list[str]
) -> Iterator[tuple[str, bytes]]:
    unknown: dict[int, str] = {}
    allowed = set(video.object_ids)
    for frame_index in video.wanted_frames:
        frame = video.frame_names[frame_index]
        try:
            prediction = predictions.read(video, frame_index)
        except DataError as error:
            faults.append(str(error))
            continue
        by_object = video.layout == "object_folders"
        if prediction is None or (by_object and set(prediction.masks) < allowed):
            faults.append(f"{video.name}: frame {frame} is missing")
            continue
        for object_id in set(prediction.ids) - allowed:
            unknown.setdefault(object_id, frame)
        yield from _encoded(video, frame, prediction)
    for object_id, frame in unknown.items():
        faults.append(f"{video.name}: object id {object_id} (first on frame {frame}) was not given")


def _encoded(video: Video, frame: str, prediction: PredictedFrame) -> Iterator[tuple[str, bytes]]:
    if video.layout == "object_folders":
        for object_id, folder in video.object_names.items():
            mask = prediction.masks[object_id].astype(np.int32)
            yield f"{video.name}/{folder}/{frame}.png", encode_label_map(mask)
        return
    label_map = prediction.label_map
    if label_map is None:
        label_map = prediction.masks[1].astype(np.int32)
    yield f"{video.name}/{frame}.png", encode_label_map(label_map)


def _sorted_out(files: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the PNGs, and a problem for each other file."""
    pngs: list[str] = []
    other: list[str] = []
    for name in files:
        hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
        (other if hidden or not name.endswith(".png") else pngs).append(name)
    faults = [] if pngs else ["it contains no PNGs"]
    faults += [
        f"{name} has backslashes between its folders; compress the folders with another program"
        for name in pngs
        if "\\" in name
    ]
    pngs = [name for name in pngs if "\\" not in name]
    return pngs, faults + [f"{name} does not belong in the archive" for name in other]


def _path_faults(
    pngs: list[str], relative: dict[str, str], around: str, dataset: Dataset | None
) -> list[str]:
    faults: list[str] = []
    outside = [png for png in pngs if not png.startswith(around)]
    tops = {png.split("/")[0] for png in pngs}
    videos = {video.name for video in dataset} if dataset is not None else set()
    wrapped = len(tops) == 1 and not tops & videos and bool(pngs)
    deep = all(png.count("/") >= around.count("/") + 2 for png in pngs)
    nested = dataset is None or not any(v.layout == "object_folders" for v in dataset)
    if outside:
        faults += [f"{png} must be in the folder {around.rstrip('/')}" for png in outside]
    elif wrapped and deep and nested and not around:
        faults.append(f"the folder {tops.pop()} encloses the videos; compress its content instead")
    elif dataset is not None:
        extra = sorted({name.split("/")[0] for name in relative} - videos)
        faults += [f"{video} is not a video of the data set" for video in extra]
    return faults


def _video_faults(archive: zipfile.ZipFile, relative: dict[str, str], video: Video) -> list[str]:
    start = f"{video.name}/"
    present = {name for name in relative if name.startswith(start)}
    if not present:
        return [f"video {video.name} is missing"]
    wanted = wanted_names(video)
    faults = [f"{name} is missing" for name in wanted if name not in present]
    faults += [f"{name} is not a frame of the submission" for name in sorted(present - set(wanted))]
    allowed = {1} if video.layout != "label_maps" else set(video.object_ids)
    for name in sorted(present & set(wanted)):
        label_map = _read_png(archive, relative[name], video.size)
        if isinstance(label_map, str):
            faults.append(label_map)
            continue
        unknown = sorted(set(ids_in(label_map)) - allowed)
        if unknown:
            faults.append(
                f"{name} has object id {listed(unknown)}, but only {listed(sorted(allowed))} "
                f"{'was' if len(allowed) == 1 else 'were'} given"
            )
    return faults


def _form_faults(archive: zipfile.ZipFile, relative: dict[str, str]) -> list[str]:
    """Return the problems visible without the data set: masks not indexed, or of several sizes."""
    faults: list[str] = []
    sizes: dict[str, tuple[int, int]] = {}
    for name in sorted(relative):
        label_map = _read_png(archive, relative[name], sizes.get(name.split("/")[0]))
        if isinstance(label_map, str):
            faults.append(label_map)
        else:
            sizes.setdefault(name.split("/")[0], (label_map.shape[0], label_map.shape[1]))
    return faults


def _read_png(
    archive: zipfile.ZipFile, name: str, size: tuple[int, int] | None
) -> LabelArray | str:
    """Return a label map, or a description of the problem with it."""
    try:
        content = unpacked(archive, name)
        mode, (height, width) = picture_header(io.BytesIO(content), name)
        if size is not None and (height, width) != size:
            return f"{name} is {height}×{width}, expected {size[0]}×{size[1]}"
        if mode != "P":
            return f"{name} has mode {mode}, but the server requires indexed PNGs (mode P)"
        return decode_label_map(content, name)
    except DataError as error:
        return str(error)
    except (OSError, ValueError, RuntimeError, EOFError, *DAMAGED) as error:
        return f"cannot read {name}: {error}"
