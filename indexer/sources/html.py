"""Titles of HTML pages."""

from __future__ import annotations

from indexer.chunking.structure.html import HtmlScan


def title_of(page: HtmlScan) -> str:
    """Title of a page: its only ``<h1>`` if ``<title>`` contains it, else ``<title>``, else the first heading.

    A ``<title>`` usually contains the name of the site as well, which says nothing about the page.
    """
    main = [item.block.text for item in page.blocks if item.level == 1]
    if len(main) == 1 and main[0] in page.title:
        return main[0]
    return page.title or next((item.block.text for item in page.blocks if item.level), "")
