"""Files with masks that the page sends: one file, or all files of a folder. Imports no torch.

The body of a folder is one line of JSON, ``{"files": [["00000.png", 512], …]}`` with the path and
the size in bytes of each file, followed by the contents of the files in that order. As for
``--masks``, a folder may contain one folder per object.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from maskcast.core.errors import UsageError
from maskcast.core.files import make_folder, path_inside
from maskcast.web.wire import Fields, read_json

MOST = 64 * 2**20
"""Maximum size of the files together in bytes."""
MOST_FILES = 4096


def keep_file(folder: Path, name: str, frame_name: str | None, content: bytes) -> Path:
    """Write a file into an empty folder, and return its path.

    Args:
        folder: the folder, which is created.
        name: name of the file on the user's machine.
        frame_name: name of the frame that the masks belong to; None if the file says so itself.
        content: content of the file.

    Raises:
        UsageError: the name has no extension.
        OutputError: the folder cannot be created.
    """
    suffix = Path(name).suffix.lower()
    if not re.fullmatch(r"\.[a-z0-9]{1,5}", suffix):
        raise UsageError("the file needs an extension, such as .png or .json")
    is_named = frame_name is None or suffix == ".json"
    path = folder / f"{safe_stem(name) if is_named else frame_name}{suffix}"
    make_folder(folder)
    path.write_bytes(content)
    return path


def keep_files(folder: Path, name: str, content: bytes) -> Path:
    """Write the files of a folder into an empty folder, and return the path of the new folder.

    Args:
        folder: the folder, which is created.
        name: name of the folder on the user's machine.
        content: the body of the request.

    Raises:
        UsageError: the body is damaged, or there are too many files.
        DataError: the name of a file is not safe.
        OutputError: a folder cannot be created.
    """
    head, _, rest = content.partition(b"\n")
    listed = Fields(read_json(head), "files").list_of("files", (list,), MOST_FILES)
    target, begin = folder / safe_stem(name), 0
    for entry in listed:
        path, size = _entry(entry)
        part = rest[begin : begin + size]
        begin += size
        *parents, last = path.split("/")
        inner = path_inside(target, parents[0]) if parents else target
        make_folder(inner)
        path_inside(inner, last).write_bytes(part)
    if begin != len(rest):
        raise UsageError(f"the files have {begin} bytes, but {len(rest)} bytes came")
    return target


def safe_stem(name: str) -> str:
    """Return a safe form of the name of a file without its extension, or of a folder."""
    return re.sub(r"[^\w-]", "_", Path(name).stem)[:60] or secrets.token_hex(4)


def _entry(entry: list[object]) -> tuple[str, int]:
    match entry:
        case [str(path), int(size)] if path.count("/") <= 1 and size >= 0:
            return path, size
    raise UsageError("files must be pairs of a path, with at most one /, and a size in bytes")
