"""The precision in which the bundled encoder computes: chosen by the CPU, tested at start, float32 where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, assert_never

import numpy as np

from winnow.core.errors import InvalidSettings
from winnow.core.types import FloatArray
from winnow.models.bundled.encoder import BertEncoder, Precision
from winnow.models.bundled.reading import TextReader

log = logging.getLogger(__name__)

KNOWN_TEXT: Final = (
    "Copy the file src to the file or directory dst, preserving metadata as well as the platform allows; "
    "vitamin D and bone density were measured in 1,204 patients."
)
LEAST_COSINE: Final = 0.99  # of a sound encoder's vector of it with the published model's in float32: int8 has 0.997


def fastest_precision() -> Precision:
    """The precision that this CPU computes fastest without losing quality.

    With AMX that is bfloat16; with AVX512-VNNI or AVX-VNNI int8. On CPUs with AVX2 alone int8 gains nothing
    (docs/decisions/0017).
    """
    flags = _cpu_flags()
    if "amx_bf16" in flags:
        return "bfloat16"
    return "int8" if flags & {"avx512_vnni", "avx_vnni"} else "float32"


def _cpu_flags() -> set[str]:
    """The flags of an x86 CPU as the kernel lists them; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


@dataclass(frozen=True, slots=True, eq=False)
class KnownText:
    """The test of an encoder: a text, and its vector by the model in float32, shape (dimensions,)."""

    ids: Sequence[int]
    vector: FloatArray

    @classmethod
    def of(cls, reader: TextReader, measured: Path) -> Self:
        """The known text as a model reads it, with the vector in the file of its measured activations."""
        with np.load(measured) as file:
            return cls(reader.read([KNOWN_TEXT])[0].ids, file["known"].astype(np.float32))


def sound_encoders(
    build: Callable[[Precision], tuple[BertEncoder, BertEncoder]], wanted: Literal["auto"] | Precision, known: KnownText
) -> tuple[BertEncoder, BertEncoder]:
    """The encoders that ``build`` makes in the wanted precision, or in float32 with a warning where these fail.

    A CPU may lack instructions that it lists (a virtual machine masks them), and kernels may be wrong on it: the engine
    then refuses to compile, or answers with vectors that mean nothing.

    Raises:
        InvalidSettings: in float32 they fail too.
    """
    precision = fastest_precision() if wanted == "auto" else wanted
    try:
        return _tested(build(precision), known)
    except (RuntimeError, ArithmeticError) as error:
        reason = _first_line(error)
    match precision:
        case "float32":
            raise InvalidSettings(f"the bundled model does not work on this CPU, not even in float32: {reason}")
        case "int8" | "bfloat16":
            log.warning(
                "the bundled model does not work in %s on this CPU (%s); it computes in float32, more slowly. "
                "WINNOW_EMBEDDING__PRECISION=float32 chooses that without a warning",
                precision,
                reason,
            )
        case _:
            assert_never(precision)
    return sound_encoders(build, "float32", known)


def _tested(encoders: tuple[BertEncoder, BertEncoder], known: KnownText) -> tuple[BertEncoder, BertEncoder]:
    """``encoders``, once each has read the known text as the published model does.

    Raises:
        ArithmeticError: one of them has not.
    """
    for encoder in encoders:
        encoded = encoder([known.ids])
        cosine = float(encoded.texts[0] @ known.vector)
        if not cosine >= LEAST_COSINE or not np.isfinite(encoded.tokens).all():
            raise ArithmeticError(f"a known text's vector has cosine {cosine:.3f} with the right one")
    return encoders


def _first_line(error: Exception) -> str:
    """Of the engine's errors the line that says what failed: those before it name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check"))), str(error))[:200]
