"""Text recognition for pages that are pictures, by ocrmypdf and tesseract where they are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from indexer.sources.base import ReadError
from indexer.sources.sandbox import Sandbox

PROGRAM: Final = "ocrmypdf"
SECONDS: Final = 1800.0  # for a document

_INSTALL: Final = (
    "text recognition needs the programs ocrmypdf and tesseract: apt-get install ocrmypdf, brew install ocrmypdf"
)
_SHOWN: Final = 300


def read_scanned(path: Path, read: Callable[[Path, Sandbox], dict[str, Any]], sandbox: Sandbox) -> dict[str, Any]:
    """Read a PDF with ``read``; if pages of it have no text, read it again with the text that is recognised.

    Raises:
        ReadError: as ``read``, or recognition is not installed, fails, or takes too long.
    """
    try:
        found = read(path, sandbox)
    except ReadError as error:
        if error.code != "no_text":
            raise
    else:
        if not any(_is_scan(warning) for warning in found["warnings"]):
            return found
    with TemporaryDirectory(prefix="winnow-") as folder:
        recognised = Path(folder, "recognised.pdf")
        _recognise(path, recognised)
        with Sandbox() as unconfined:  # the copy is outside of the source
            return read(recognised, unconfined)


def _is_scan(warning: Mapping[str, Any]) -> bool:
    return bool(warning["code"] == "pages_without_text")


def _recognise(path: Path, target: Path) -> None:
    """Write a copy of a PDF whose pages without text have one; pages with text stay as they are."""
    program = shutil.which(PROGRAM)
    if program is None or shutil.which("tesseract") is None:
        raise ReadError("ocr_not_installed", _INSTALL)
    command = [program, "--skip-text", "--output-type", "pdf", "--quiet", os.fspath(path), os.fspath(target)]
    process = subprocess.Popen(  # noqa: S603 - an installed program and two absolute paths
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, said = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ReadError("too_slow", f"text recognition took longer than {SECONDS:g} s; split the file") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode or not target.is_file():
        reason = " ".join(said.decode(errors="replace").split())[-_SHOWN:] or f"exit status {process.returncode}"
        raise ReadError("ocr_failed", f"text recognition failed: {reason}")
