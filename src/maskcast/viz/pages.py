"""The style that the HTML reports share."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup


def page_style(package: str, name: str) -> Markup:
    """Return the style that all pages share, followed by a page's own.

    Args:
        package: the package that has the style sheet.
        name: name of the style sheet.
    """
    sheets = files(__package__).joinpath("page.css"), files(package).joinpath(name)
    return Markup("".join(sheet.read_text("utf-8") for sheet in sheets))
