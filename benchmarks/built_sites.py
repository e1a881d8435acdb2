"""How pages of documentation generators are read: phrases of the source that are kept, and words that are not of it.

    python benchmarks/built_sites.py --sources FOLDER BUILT…

``--sources`` is the Markdown that the sites were built from; each ``BUILT`` is the output folder of one generator, and
a page is found by its source's name. A phrase is a sentence, a table's cell or a line of code. It is kept if its words
follow each other in the text that is read; a sentence that is read and is not in the source is boilerplate, by words.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from winnow.conversion.html import convert_html

_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+")


def words_of(text: str) -> str:
    """The words of a text in lower case, with a space before, between and after."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def phrases(source: str) -> Iterator[str]:
    """The phrases of Markdown, each as ``words_of`` gives them."""
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type == "inline":
            parts = _SENTENCE_END.split("".join(_visible(each) for each in token.children or ()))
        else:
            parts = token.content.splitlines() if token.type in ("fence", "code_block") else []
        yield from (words for part in parts if (words := words_of(part)).strip())


def _visible(token: Token) -> str:
    return " " if token.type in ("softbreak", "hardbreak") else token.content


def sentences(text: str) -> Iterator[str]:
    """The sentences and cells of canonical text."""
    for line in text.splitlines():
        for cell in line.split("|") if line.startswith("|") else [line]:
            yield from (words for part in _SENTENCE_END.split(cell) if (words := words_of(part)).strip())


def page_of(source: Path, site: Path) -> Path | None:
    """The page that was built of a source."""
    found = [page for page in site.rglob("*.html") if source.stem in page.relative_to(site).as_posix()]
    return min(found, key=lambda page: len(str(page)), default=None)


def measure(site: Path, sources: Path) -> tuple[int, int, int, int]:
    """Phrases, those that were kept, words that were read, and those that are not of the source."""
    of_all = kept = read = foreign = 0
    for source in sorted(sources.glob("*.md")):
        page = page_of(source, site)
        if page is None:
            print(f"{site}: no page of {source.name}")
            continue
        asked = list(dict.fromkeys(phrases(source.read_text())))
        text, whole = convert_html(page.read_text(errors="replace")).text, " ".join(phrases(source.read_text()))
        got, known = words_of(text), words_of(whole)
        of_all += len(asked)
        kept += sum(phrase in got for phrase in asked)
        for sentence in sentences(text):
            count = len(sentence.split())
            read += count
            foreign += 0 if sentence in known else count
    return of_all, kept, read, foreign


def main() -> None:
    """Measure the sites that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("built", type=Path, nargs="+")
    arguments = parser.parse_args()
    sums = [0, 0, 0, 0]
    for site in arguments.built:
        found = measure(site, arguments.sources)
        sums = [total + each for total, each in zip(sums, found, strict=True)]
        print(f"{site}: {_shares(*found)}")
    print(f"all: {_shares(*sums)}")


def _shares(of_all: int, kept: int, read: int, foreign: int) -> str:
    told = f"{kept:,} of {of_all:,} phrases kept ({kept / max(1, of_all):.2%})"
    return f"{told}; {foreign:,} of {read:,} words foreign ({foreign / max(1, read):.2%})"


if __name__ == "__main__":
    main()
