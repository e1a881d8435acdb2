"""Puts a model's files into a folder and checks every byte; run before vLLM starts.

Reads MODEL and REVISION (of the Hugging Face hub), SUMS (a file as `sha256sum` writes it), TARGET (the folder) and
WEIGHTS_URL (the hub, or a mirror with the same paths: MODEL/resolve/REVISION/FILE). Files that are there and whole are
not fetched, so a volume that was filled by other means needs no network.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
TRIES = 5


def checksum(path: Path) -> str:
    """The SHA-256 of a file; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wanted(sums: Path) -> list[tuple[str, str]]:
    """SHA-256 and relative path of each file; raises ValueError for a path that leaves the folder."""
    lines = [line.split(maxsplit=1) for line in sums.read_text().splitlines() if line.strip()]
    for _, name in lines:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"{sums}: {name} is outside the folder")
    return [(digest, name) for digest, name in lines]


def download(url: str, part: Path) -> None:
    """Fetch a file; what an interrupted try left is continued."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
        part.open("ab" if answer.status == 206 else "wb") as file,
    ):
        while block := answer.read(BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def fetch(url: str, target: Path, digest: str) -> None:
    """Fetch one file and give it its name once it is whole; raises OSError or ValueError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, TRIES + 1):
        try:
            download(url, part)
            break
        except urllib.error.HTTPError as error:
            if error.code != 416:  # the part is longer than the file: begin again
                raise
            part.unlink()
        except OSError as error:
            if attempt == TRIES:
                raise
            print(f"{target.name}: {error}; try {attempt + 1} of {TRIES}", flush=True)
    if (found := checksum(part)) != digest:
        part.unlink(missing_ok=True)
        raise ValueError(f"{url}: SHA-256 is {found or 'missing'}, not {digest}")
    part.replace(target)


def main() -> int:
    """0 where the folder holds every file; else 1 after a line that names the file and the remedy."""
    folder = Path(os.environ["TARGET"])
    base = f"{os.environ['WEIGHTS_URL'].rstrip('/')}/{os.environ['MODEL']}/resolve/{os.environ['REVISION']}"
    for digest, name in wanted(Path(os.environ["SUMS"])):
        if checksum(folder / name) == digest:
            print(f"{name}: there", flush=True)
            continue
        try:
            fetch(f"{base}/{name}", folder / name, digest)
        except (OSError, ValueError) as error:
            print(
                f"{base}/{name}: {error}; set WEIGHTS_URL to a mirror, or put the file into {folder}", file=sys.stderr
            )
            return 1
        print(f"{name}: fetched", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
