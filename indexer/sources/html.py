"""HTML files: the title of a page."""

from __future__ import annotations

from indexer.chunking.structure.html import scan


def describe_html(text: str) -> str:
    """Title of a page: its only main heading where ``<title>`` contains it, else ``<title>``, else the first heading.

    A ``<title>`` mostly carries the name of the site as well, which says nothing about the page.
    """
    page = scan(text)
    main = [item.block.text for item in page.items if item.level == 1]
    if len(main) == 1 and main[0] in page.title:
        return main[0]
    return page.title or next((item.block.text for item in page.items if item.level), "")
