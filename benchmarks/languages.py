"""Texts in many languages: the translations that a Python package ships as gettext catalogs, such as Django's."""

from __future__ import annotations

import gettext
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PASSAGE_CHARS = 400


def messages_of(package: Path) -> dict[str, list[str]]:
    """Translated messages by language (``de``, ``zh_Hans`` …), in the catalogs' order, each once.

    Args:
        package: folder with catalogs ``…/locale/LANGUAGE/LC_MESSAGES/*.mo``.
    """
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for path in sorted(package.glob("**/locale/*/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            catalog = vars(gettext.GNUTranslations(file))["_catalog"]  # there is no public way to list it
        messages = (text for key, text in catalog.items() if key and isinstance(text, str) and text.strip())
        found[path.parents[1].name].update(dict.fromkeys(messages))
    return {language: list(messages) for language, messages in found.items()}


def passages_of(messages: list[str]) -> Iterator[str]:
    """Messages of one language joined to passages of some ``PASSAGE_CHARS`` characters."""
    passage: list[str] = []
    for message in messages:
        passage.append(message)
        if sum(map(len, passage)) >= PASSAGE_CHARS:
            yield " ".join(passage)
            passage = []
    if passage:
        yield " ".join(passage)
