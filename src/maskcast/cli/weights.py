"""``maskcast weights``: list, import, verify and export weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from maskcast.cli.arguments import MethodName, Options, shown_as
from maskcast.cli.terminal import show
from maskcast.core.config import options_from
from maskcast.core.errors import UsageError


def list_weights() -> None:
    """List installed weights, and published ones with download pages."""
    from maskcast.io.weights.names import installed_weights
    from maskcast.methods.catalogue import DEFAULT_WEIGHTS, published_files

    here = list(installed_weights())
    print("installed" if here else "installed: none")
    for weights in here:
        megabytes = weights.path.stat().st_size / 1e6
        location = "in the package" if weights.shipped else str(weights.path)
        usual = ", default" if weights.name == DEFAULT_WEIGHTS else ""
        show(f"  {weights.name}  {weights.method}, {megabytes:.1f} MB, {location}{usual}")
        show(f"    licence of the weights: {weights.card.get('licence', 'not stated')}")
    print(
        "published by the authors; install them with: maskcast weights import SOURCE, where SOURCE "
        "is a file, an address (http or https), a Google Drive id, or a name below"
    )
    installed = {weights.name for weights in here}
    for name, file in published_files().items():
        if name not in installed:
            print(f"  {name}  {file.method}, {file.file_name}")
            print(f"    from {file.page}")
            print(f"    licence of the weights: {file.licence}")


def import_(
    source: Positional[str],
    *,
    name: Annotated[str | None, shown_as("NAME")] = None,
    method: MethodName = None,
    sha256: Annotated[str | None, shown_as("HASH")] = None,
) -> None:
    """Install a checkpoint published by a method's authors.

    No code in it is executed. The installed weights can be used by name: those of lwl_stage2.pth
    with --weights lwl-ytvos.

    Args:
        source: a path, an http(s) URL, a Google Drive id, or a name from maskcast weights list.
        name: name to install the weights under; known files already have one.
        method: method that the checkpoint belongs to; default: detected from its content.
        sha256: reject the file unless it has this SHA-256.
    """
    from maskcast.cli.progress import TerminalProgress
    from maskcast.io.weights.names import verify_weights
    from maskcast.methods.published_weights import import_weights

    with TerminalProgress() as progress:
        path = import_weights(
            source,
            name=name,
            method=method,
            sha256=sha256,
            progress=progress,
        )
    show(f"{path.stem} installed as {path}")
    print(f"sha256 {verify_weights(path)}")


def verify(weights: Positional[str]) -> None:
    """Compare the hash of weights with the one recorded at installation.

    Args:
        weights: name or file of the weights.
    """
    from maskcast.io.weights.names import verify_weights

    show(f"{weights} is intact, sha256 {verify_weights(weights)}")


def export(
    weights: Positional[str],
    *,
    output: Annotated[Path, shown_as("FILE|FOLDER", None, short="-o")],
    form: Literal["checkpoint", "onnx", "pt2", "aoti"] = "checkpoint",
    size: Annotated[str | None, shown_as("HEIGHTxWIDTH")] = None,
    option: Options = (),
) -> None:
    """Write weights for the authors' code, or as graphs for other runtimes.

    Graphs need no maskcast: those in the form onnx run with ONNX Runtime and the program
    maskcast_onnx.py beside them, without PyTorch. They hold the network with its state as inputs
    and outputs. Only LWL and A-GAME have graphs.

    Args:
        weights: name or file of the weights.
        output: the checkpoint file, or an empty or new folder for graphs.
        form: checkpoint; onnx; pt2, for torch.export.load; or aoti, compiled for this machine and
            version of PyTorch, which needs a C++ compiler.
        size: size of the video's frames, for graphs of A-GAME.
        option: NAME=VALUE, a setting of the method that the graphs get.
    """
    if form == "checkpoint":
        from maskcast.methods.published_weights import export_weights

        if size is not None or option:
            raise UsageError("a checkpoint has no size and no options; give a form of graphs")
        export_weights(weights, output)
    else:
        from maskcast.cli.progress import TerminalProgress
        from maskcast.methods.exporting import export_graphs

        with TerminalProgress() as progress:
            export_graphs(
                weights,
                output,
                form=form,
                size=None if size is None else _size_from(size),
                options=options_from(option),
                progress=progress,
            )
    print(output)


def _size_from(text: str) -> tuple[int, int]:
    height, separator, width = text.partition("x")
    if not (separator and height.isdecimal() and width.isdecimal() and int(height) * int(width)):
        raise UsageError(
            f"the size must be HEIGHTxWIDTH in pixels, such as 480x854, got {text!r}",
            options=("size",),
        )
    return int(height), int(width)


COMMANDS = {"list": list_weights, "import": import_, "verify": verify, "export": export}
