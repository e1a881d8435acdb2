"""A chatbot over a folder, whose citations resolve to an address and to the characters that are cited.

    python chatbot.py handbook "How long is the warranty?"                      # offline: a scripted model
    python chatbot.py handbook "…" --model-url http://127.0.0.1:11434/v1 --model qwen3

It needs a running Winnow (``winnow serve``) and ``pip install winnow-client``. The model is any that answers OpenAI's
``/chat/completions``; its key is read from ``OPENAI_API_KEY``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import scripted_model
from winnow_client import Client, Result
from winnow_client.calls import DocumentInput

FORMATS = {".md": "markdown", ".html": "html", ".txt": "text"}
RULES = (
    "Answer the question from the numbered passages alone, in one or two sentences. Behind each sentence put the "
    "number of the passage that says so, such as [1]. If no passage answers the question, say so and cite nothing."
)
_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Citation:
    """A passage that the answer cites.

    Attributes:
        number: in the answer.
        url: address of the document, with the anchor of the heading.
        document_id, start, end: ``document.text[start:end]`` is the passage.
        text: the passage, as it is in the document.
    """

    number: int
    url: str
    document_id: str
    start: int
    end: int
    text: str


def documents_in(folder: Path, base: str) -> list[DocumentInput]:
    """The Markdown, HTML and text files below a folder; their addresses are below ``base``."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in FORMATS)
    return [
        {
            "id": (name := file.relative_to(folder).as_posix()),
            "text": file.read_text(encoding="utf-8"),
            "format": FORMATS[file.suffix],
            "url": base.rstrip("/") + "/" + name,
        }
        for file in files
    ]


def ask_model(url: str, model: str, question: str, passages: list[Result]) -> str:
    """The answer of a model to the question, given the passages."""
    numbered = "\n\n".join(f"[{number}] {each.title}\n{each.text}" for number, each in enumerate(passages, 1))
    key = os.environ.get("OPENAI_API_KEY", "")
    body = {
        "model": model,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": RULES},
            {"role": "user", "content": f"{numbered}\n\nQuestion: {question}"},
        ],
    }
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    response = httpx.post(f"{url.rstrip('/')}/chat/completions", json=body, headers=headers, timeout=120)
    response.raise_for_status()
    return str(response.json()["choices"][0]["message"]["content"])


def resolve(winnow: Client, collection: str, answer: str, passages: list[Result]) -> tuple[str, list[Citation]]:
    """The answer without citations of passages that there are not, and the others, each read back from its document."""
    found: dict[int, Citation] = {}
    for number in sorted({int(each) for each in _NUMBER.findall(answer)}):
        if not 1 <= number <= len(passages):
            answer = answer.replace(f"[{number}]", "")
            continue
        result = passages[number - 1]
        text = winnow.get_document(collection, result.document_id).text[result.span.start : result.span.end]
        if not (result.text or "").endswith(text):  # the document was replaced since the search
            answer = answer.replace(f"[{number}]", "")
            continue
        found[number] = Citation(number, result.url, result.document_id, result.span.start, result.span.end, text)
    return answer.strip(), list(found.values())


@contextmanager
def model_at(url: str | None) -> Iterator[str]:
    """The address of the model: the given one, or that of the scripted one, which runs meanwhile."""
    if url is not None:
        yield url
        return
    with scripted_model.serving() as address:
        yield address


def main() -> int:
    """Index the folder, answer the question, print the citations."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("question")
    parser.add_argument("--winnow", default="http://127.0.0.1:8000", help="address of the service")
    parser.add_argument("--collection", default="chatbot")
    parser.add_argument("--base-url", default="https://handbook.example", help="what addresses of documents begin with")
    parser.add_argument("--model-url", help="of an OpenAI-compatible endpoint; without it a scripted model answers")
    parser.add_argument("--model", default="any")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Client(given.winnow) as winnow, model_at(given.model_url) as model_url:
        winnow.put_collection(given.collection)
        winnow.submit(given.collection, documents_in(given.folder, given.base_url), wait=True)
        found = winnow.search(given.collection, given.question, expand=1, max_tokens=2000, top_n=6)
        passages = list(found.results)
        said = ask_model(model_url, given.model, given.question, passages)
        answer, citations = resolve(winnow, given.collection, said, passages)
    if given.json:
        json.dump({"answer": answer, "citations": [vars(each) for each in citations]}, sys.stdout)
        return 0
    print(answer)
    for each in citations:
        print(f"[{each.number}] {each.url}  (characters {each.start} to {each.end} of {each.document_id})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
