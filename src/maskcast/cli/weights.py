"""``maskcast weights``: list, import, verify and export weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from maskcast.cli.arguments import MethodName, shown_as
from maskcast.cli.terminal import show


def list_weights() -> None:
    """List the installed weights, and the published weights with their download pages."""
    from maskcast.io.weights.names import installed_weights
    from maskcast.methods.catalogue import published_files

    here = list(installed_weights())
    print("installed" if here else "installed: none")
    for weights in here:
        megabytes = weights.path.stat().st_size / 1e6
        location = "in the package" if weights.shipped else str(weights.path)
        show(f"  {weights.name}  {weights.method}, {megabytes:.1f} MB, {location}")
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
    """Install a checkpoint published by a method's authors; no code in it is executed.

    The installed weights can be used by name: those of lwl_stage2.pth with --weights lwl-ytvos.

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
    """Read the whole weights file and compare its hash with the one recorded at installation.

    Args:
        weights: name or file of the weights.
    """
    from maskcast.io.weights.names import verify_weights

    show(f"{weights} is intact, sha256 {verify_weights(weights)}")


def export(
    weights: Positional[str], *, output: Annotated[Path, shown_as("FILE", None, short="-o")]
) -> None:
    """Write weights as a checkpoint that the authors' code can read.

    Args:
        weights: name or file of the weights.
        output: the checkpoint file to write.
    """
    from maskcast.methods.published_weights import export_weights

    export_weights(weights, output)
    print(output)


COMMANDS = {"list": list_weights, "import": import_, "verify": verify, "export": export}
