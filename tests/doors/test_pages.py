"""The code of the pages about other clients, run as it is printed but for the address and the names of collections."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.doors.conftest import PYTHON
from tests.support.served import ROOT

PAGES = ROOT / "docs" / "integrations"
ADDRESS = "http://127.0.0.1:8000"
NAMES = {'"python"': '"notes"', '"docs"': '"guides"', "/docs/": "/guides/", "NAME": "guides"}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language, the indented ones of lists too."""
    found = re.findall(
        r"^( *)```(\w*)\n(.*?)^ *```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [re.sub(rf"(?m)^{indent}", "", code) for indent, named, code in found if named == language]


def renamed(code: str, address: str) -> str:
    for name, ours in (*NAMES.items(), ("DOCUMENT_ID", "copy/guides")):
        code = code.replace(name, ours)
    # retrievers and rerankers have the address of the page as their default
    return re.sub(r"\b(Winnow\w+)\(([^()]+)\)", rf'\1(\2, url="{address}")', code.replace(ADDRESS, address))


@pytest.mark.parametrize(("page", "number"), [("python.md", 3), ("vector-stores.md", 1)])
def test_python_code_of_a_page(live: str, tmp_path, page: str, number: int) -> None:
    if not PYTHON.exists():
        pytest.skip("the clients of other providers are not installed: make clients")
    (tmp_path / "handbook.pdf").write_bytes(PDF)
    found = blocks(page, "python")
    assert len(found) == number
    environment = os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")}
    for code in found:
        done = subprocess.run(
            [str(PYTHON), "-c", renamed(code, live)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("page", ["models.md", "knowledge-bases.md", "winnow-search/SKILL.md"])
def test_commands_of_a_page(live: str, page: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    commands = [code for code in blocks(page, "") if code.lstrip().startswith("curl")]
    assert commands
    for command in commands:
        script = renamed(command, live).replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
        environment = os.environ | {"WINNOW_URL": live}
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def _pdf(sentence: str) -> bytes:
    """A PDF of one page with a sentence (PDF 1.4, without a table of references, which readers rebuild)."""
    text = f"BT /F1 18 Tf 50 700 Td ({sentence}) Tj ET"
    drawn = "/MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R {drawn} >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body = "".join(f"{number} 0 obj\n{each}\nendobj\n" for number, each in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer << /Size 6 /Root 1 0 R >>\n%%EOF\n".encode()


PDF = _pdf("How do I return an item: send it back within thirty days.")
