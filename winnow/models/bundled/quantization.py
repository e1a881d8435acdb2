"""int8 linear layers with fixed scales: ranges of their inputs, measured once, and weights that go with these.

The file of a model holds, for each input of a linear layer and each of its channels, the least, the greatest and the
mean value that ``benchmarks/calibrate.py`` saw. With fixed scales nothing is measured while the model runs, and
products come out of one integer kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray

LEVELS: Final = 256  # of an activation
_INT8: Final = 127
_SMOOTHING: Final = 0.5
_SMOOTHING_OF_GELU: Final = 0.2
_ONE_WINDOW: Final = 99  # percentile of the channels behind a GELU whose range is one window


@dataclass(frozen=True, slots=True)
class Windows:
    """What the levels of a linear layer's inputs cover: arrays of shape (windows,), at least one window an input.

    An input x is ``low + sum(width * share)`` over its windows, where a share is (x - start) / width within [0, 1].

    Attributes:
        inputs: which input each window belongs to, ascending.
        start: where each window begins.
        width: how far it reaches.
        low: where the first window of its input begins.
    """

    inputs: npt.NDArray[np.int64]
    start: FloatArray
    width: FloatArray
    low: FloatArray


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """What goes into a linear layer, by channel: arrays of shape (inputs,), float32.

    Attributes:
        low: the least value.
        high: the greatest one.
        mean: of all values.
        is_gelu: the values come from a GELU, of whose channels one or two reach several times as far as the others.
    """

    low: FloatArray
    high: FloatArray
    mean: FloatArray
    is_gelu: bool

    @property
    def windows(self) -> Windows:
        """One window a channel, as wide as the geometric mean of its own range and the widest window.

        So its neighbours keep their levels and its weights do not drown theirs (SmoothQuant, Xiao et al. 2023,
        https://arxiv.org/abs/2211.10438, equation 4). Behind a GELU a channel that reaches far gets several windows
        side by side: those below the value are full, those above it empty.
        """
        reach = self.high - self.low
        widest = np.percentile(reach, _ONE_WINDOW) if self.is_gelu else reach.max()
        smoothing = _SMOOTHING_OF_GELU if self.is_gelu else _SMOOTHING
        width = widest ** (1 - smoothing) * np.clip(reach, widest * 1e-3, widest) ** smoothing
        count = np.maximum(np.ceil(reach / width - 1e-3), 1).astype(np.int64)
        first = (self.low + self.high - width * count) / 2
        inputs = np.repeat(np.arange(len(reach)), count)
        place = np.concatenate([np.arange(n) for n in count])
        return Windows(inputs, first[inputs] + place * width[inputs], width[inputs], first[inputs])


@dataclass(frozen=True, slots=True)
class QuantizedLinear:
    """A linear layer for inputs as shares of their windows.

    Attributes:
        weight: shape (outputs, windows), int8.
        scale: shape (outputs, 1), float32.
        bias: shape (outputs,), float32.
    """

    weight: npt.NDArray[np.int8]
    scale: FloatArray
    bias: FloatArray


@cache
def load_ranges(path: Path) -> Mapping[str, ActivationRange]:
    """The ranges that the file of a model holds, by the path of the linear layer in the checkpoint.

    Query, key and value of an attention have one input and one range, ``encoder.layer.N.attention.self``.
    """
    with np.load(path) as file:
        sites = {name.rpartition("/")[0] for name in file.files if "/" in name}
        return {site: _range(site, *(file[f"{site}/{part}"] for part in ("low", "high", "mean"))) for site in sites}


def _range(site: str, *parts: npt.NDArray[np.float16]) -> ActivationRange:
    low, high, mean = (part.astype(np.float32) for part in parts)
    is_gelu = site.endswith(".output.dense") and not site.endswith(".attention.output.dense")
    return ActivationRange(low, high, mean, is_gelu)


def quantize(weight: FloatArray, bias: FloatArray, given: ActivationRange) -> QuantizedLinear:
    """The int8 form of ``weight``, shape (outputs, inputs), and ``bias``, shape (outputs,), for inputs in ``given``.

    What rounding changes at the inputs' mean goes into the bias (bias correction, Nagel et al. 2019,
    https://arxiv.org/abs/1906.04721, section 4.2). Without it the vectors mean nothing.
    """
    windows = given.windows
    scaled = weight[:, windows.inputs] * windows.width
    scale = np.abs(scaled).max(axis=1, keepdims=True) / _INT8
    whole = np.round(scaled / scale).astype(np.int8)
    usual = np.clip((given.mean[windows.inputs] - windows.start) / windows.width, 0, 1)
    is_first = np.diff(windows.inputs, prepend=-1) > 0
    low = weight @ windows.low[is_first]
    return QuantizedLinear(
        whole, scale.astype(np.float32), (bias + low + (scaled - whole * scale) @ usual).astype(np.float32)
    )
