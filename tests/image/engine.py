"""A Docker engine for the tests: the one that answers, or one of their own from Debian's packages, as root.

Where no registry can be reached, the image that the Dockerfile begins with is made with debootstrap and imported under
its name: Debian with its own Python in place of the official image, so the size is not that of the official one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
STARTS = 60.0  # seconds for an engine to answer
PACKAGES = "ca-certificates,python3,python3-venv"
CONFINED = (
    "--network",
    "host",
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
)


class Engine:
    """One Docker engine.

    Args:
        host: its address; empty: the client's own choice.
    """

    def __init__(self, host: str = "") -> None:
        self.environment = {**os.environ, "DOCKER_BUILDKIT": "0"} | ({"DOCKER_HOST": host} if host else {})

    def run(self, *arguments: str, check: bool = True, timeout: float = 1800) -> str:
        """What a command of the client printed; raises AssertionError with its errors."""
        done = subprocess.run(
            [client(), *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, (
            f"docker {' '.join(arguments[:3])}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
        return done.stdout.strip()

    @property
    def answers(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            return bool(self.run("version", "--format", "{{.Server.Version}}", check=False, timeout=20))
        return False

    def build(self, target: str) -> str:
        """Build a target of the Dockerfile; returns the image's name."""
        image = f"winnow-under-test:{target}"
        self.run("build", "--network", "host", "-f", str(DOCKERFILE), "--target", target, "-t", image, str(ROOT))
        return image

    def size(self, image: str) -> int:
        """Bytes, uncompressed."""
        size = int(self.run("image", "inspect", image, "--format", "{{.Size}}"))
        print(f"{image}: {size / 1e6:.0f} MB")
        return size

    def tools(self, image: str) -> list[str]:
        """What of compilers, installers and PyTorch is in an image."""
        shell = ("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c")
        code = "import importlib.util as u; print(*[m for m in ('pip', 'torch') if u.find_spec(m)])"
        find = f'for p in gcc cc pip pip3; do command -v $p; done; python -c "{code}"'
        return self.run(*shell, find).split()

    def has(self, image: str) -> bool:
        return bool(self.run("images", "--quiet", image))


def client() -> str:
    """Debian's client fits Debian's engine; another one may come first in the path."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"


def base_image() -> str:
    found = re.search(r"(?m)^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text())
    assert found
    return found[1]


@contextmanager
def engine(folder: Path) -> Iterator[Engine | None]:
    """An engine that runs, or ``None`` where there is none and none can be started."""
    there = Engine()
    if there.answers:
        yield there
        return
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        yield None
        return
    socket, log = folder / "docker.sock", (folder / "dockerd.log").open("wb")
    command = [
        "dockerd",
        "--iptables=false",
        "--bridge=none",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
    ]
    command += [f"--pidfile={folder / 'docker.pid'}", "-H", f"unix://{socket}"]
    process = subprocess.Popen([*command, *DRIVER], stdout=log, stderr=log)
    own = Engine(f"unix://{socket}")
    try:
        end = time.monotonic() + STARTS
        while not own.answers and process.poll() is None and time.monotonic() < end:
            time.sleep(0.5)
        yield own if own.answers else None
    finally:
        process.terminate()
        process.wait(60)
        log.close()


DRIVER: Sequence[str] = os.environ.get("WINNOW_DOCKERD", "").split()


def import_base(own: Engine, folder: Path) -> bool:
    """Make the image that the Dockerfile begins with; whether it is there now."""
    if own.has(base_image()):
        return True
    with suppress(AssertionError, subprocess.TimeoutExpired):
        own.run("pull", base_image(), timeout=600)
        return True
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        return False
    root = folder / "root"
    suite = base_image().rpartition("-")[2]
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root],
        check=True,
        capture_output=True,
    )
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():  # of this machine, so that the build reaches the package index as this machine does
        shutil.copy(certificates, root / "etc/ssl/certs/ca-certificates.crt")
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    command = [client(), "import", "-", base_image()]
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(command, stdin=packed.stdout, env=own.environment, check=True, capture_output=True)
    return True
