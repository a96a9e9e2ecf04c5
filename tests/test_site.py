"""Pages of the documentation site: every document has one, and links lead to them."""

from __future__ import annotations

import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOADER = SourceFileLoader("build_site", str(ROOT / "scripts" / "build_site"))
SPEC = spec_from_loader(LOADER.name, LOADER)
assert SPEC is not None
build_site = module_from_spec(SPEC)
LOADER.exec_module(build_site)


def test_every_document_is_in_the_navigation_once():
    listed = re.findall(r"([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    documents = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert sorted(listed) == sorted([*documents, *build_site.PAGES.values()])
    assert all((ROOT / source).is_file() for source in build_site.PAGES)


@pytest.mark.parametrize(
    ("source", "page", "link", "expected"),
    [
        ("docs/a.md", "a.md", "[x](runs.md#states)", "[x](runs.md#states)"),
        ("docs/log/a.md", "log/a.md", "[x](../runs.md)", "[x](../runs.md)"),
        ("docs/a.md", "a.md", "[x](../CHANGELOG.md)", "[x](changelog.md)"),
        ("docs/a.md", "a.md", "[x](../README.md#limits)", "[x](index.md)"),
        (
            "docs/log/a.md",
            "log/a.md",
            "[x](../../CHANGELOG.md#fixed)",
            "[x](../changelog.md#fixed)",
        ),
        ("CHANGELOG.md", "changelog.md", "[x](docs/runs.md)", "[x](runs.md)"),
        ("docs/a.md", "a.md", "[the code](../src/maskcast/core/types.py)", "the code"),
        ("docs/a.md", "a.md", "![x](images/b.jpg)", "![x](images/b.jpg)"),
        ("docs/a.md", "a.md", "[x](https://e.org) [y](#z)", "[x](https://e.org) [y](#z)"),
    ],
)
def test_links_lead_to_pages_of_the_site(source, page, link, expected):
    assert build_site.with_links_of_site(link, source, page) == expected
