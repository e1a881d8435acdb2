"""The precision of the bundled encoder: its choice, its test at start, and what happens where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pytest

from winnow.core.errors import InvalidSettings
from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled import encoder, precision
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.encoder import BertEncoder, Encoded, Precision, has_bfloat16
from winnow.models.bundled.offered import OFFERED, BundledModel
from winnow.models.bundled.precision import LEAST_COSINE, KnownText, fastest_precision, sound_encoders
from winnow.models.bundled.quantization import ActivationRange, load_ranges, quantize

REFUSAL: Final = """Exception from src/inference/src/cpp/core.cpp:117:
Exception from src/inference/src/dev/plugin.cpp:54:
Check '!supportedPrimitiveDescriptors.empty()' failed at src/plugins/intel_cpu/src/node.cpp:371:
Supported primitive descriptors list is empty for node: FullyConnected
"""
ENGLISH: Final = OFFERED["english"]
BOTH: Final = pytest.mark.parametrize("model", [ENGLISH, OFFERED["multilingual"]], ids=["english", "multilingual"])
REAL_COMPILE: Final = BertEncoder._compile
REAL_CALL: Final = BertEncoder.__call__


def computes_in(model: BertEncoder) -> Precision:
    if "i8" in {str(op.get_rt_info()["runtimePrecision"].value) for op in runtime_ops(model)}:
        return "int8"
    return "bfloat16" if model._options["INFERENCE_PRECISION_HINT"] == "bf16" else "float32"


def runtime_ops(model: BertEncoder) -> list[Any]:
    return list(model._any_shape.graph.get_runtime_model().get_ops())


def is_reduced(model: BertEncoder) -> bool:
    return model.precision != "float32"


def refuse(model: BertEncoder) -> Any:
    if is_reduced(model):
        raise RuntimeError(REFUSAL)
    return REAL_COMPILE(model)


def answer_in_reverse(model: BertEncoder, sequences: Sequence[Sequence[int]]) -> Encoded:
    encoded = REAL_CALL(model, sequences)
    return Encoded(encoded.texts[:, ::-1], encoded.tokens) if is_reduced(model) else encoded


def answer_no_numbers(model: BertEncoder, sequences: Sequence[Sequence[int]]) -> Encoded:
    encoded = REAL_CALL(model, sequences)
    return Encoded(np.full_like(encoded.texts, np.nan), encoded.tokens) if is_reduced(model) else encoded


def answer_tokens_without_end(model: BertEncoder, sequences: Sequence[Sequence[int]]) -> Encoded:
    encoded = REAL_CALL(model, sequences)
    return Encoded(encoded.texts, np.full_like(encoded.tokens, np.inf)) if is_reduced(model) else encoded


@pytest.mark.parametrize("wanted", ["int8", "bfloat16"])
@pytest.mark.parametrize(
    ("method", "injected", "reason"),
    [
        ("_compile", refuse, "Supported primitive descriptors list is empty"),
        ("__call__", answer_in_reverse, "a known text's vector has cosine"),
        ("__call__", answer_no_numbers, "a known text's vector has cosine nan"),
        ("__call__", answer_tokens_without_end, "a known text's vector has cosine"),
    ],
)
async def test_a_precision_that_fails_gives_way_to_float32_with_one_warning_line(  # noqa: PLR0917 - parameters and fixtures
    wanted: Precision,
    method: str,
    injected: Callable[..., Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(BertEncoder, method, injected)
    monkeypatch.setattr(encoder, "has_bfloat16", lambda: False)  # so that any CPU compiles the rest
    if wanted == "bfloat16" and not has_bfloat16() and method == "__call__":
        pytest.skip("this CPU has no bfloat16 arithmetic to go wrong")
    embedder = BundledEmbedder(BundledEmbedding(precision=wanted, threads=1))
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    message = warning.getMessage()
    assert "\n" not in message
    assert reason in message
    assert f"does not work in {wanted}" in message
    assert "WINNOW_EMBEDDING__PRECISION=float32" in message
    assert [encoder.precision for encoder in (embedder._queries, embedder._documents)] == ["float32"] * 2
    assert (await embedder.embed(["copy a file"], "query")).vectors.any()
    await embedder.close()


def test_an_encoder_that_fails_in_float32_too_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_always(_: BertEncoder) -> Any:
        raise RuntimeError(REFUSAL)

    monkeypatch.setattr(BertEncoder, "_compile", refuse_always)
    with pytest.raises(InvalidSettings, match=r"not even in float32: Supported primitive descriptors list is empty"):
        BundledEmbedder(BundledEmbedding(threads=1))


@pytest.mark.parametrize("wanted", ["float32", "int8", "bfloat16"])
def test_what_is_wanted_is_what_computes(wanted: Precision, caplog: pytest.LogCaptureFixture) -> None:
    if wanted == "bfloat16" and not has_bfloat16():
        pytest.skip("this CPU has no bfloat16 arithmetic (AMX or AVX512-BF16)")
    encoders = sound_encoders(lambda one: (built(one, 1), built(one, 2)), wanted, known_of(ENGLISH))
    assert [computes_in(encoder) for encoder in encoders] == [wanted] * 2
    assert not caplog.records


def built(one: Precision, merge: Any, model: BundledModel = ENGLISH) -> BertEncoder:
    return BertEncoder(model.load(None), one, merge=merge, streams=1)


def known_of(model: BundledModel) -> KnownText:
    return KnownText.of(model.reader(None), model.measured)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2", "avx512_vnni", "amx_bf16"}, "bfloat16"),
        ({"avx2", "avx512_vnni"}, "int8"),
        ({"avx2", "avx_vnni"}, "int8"),
        ({"avx2", "avx512f"}, "float32"),
        (set(), "float32"),
    ],
)
def test_the_cpus_instructions_choose(flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
    assert fastest_precision() == expected


@BOTH
def test_the_known_vector_is_that_of_the_model_with_room_for_int8(model: BundledModel) -> None:
    known = known_of(model)
    assert float(built("float32", 1, model)([known.ids]).texts[0] @ known.vector) > 0.999
    assert float(built("int8", 1, model)([known.ids]).texts[0] @ known.vector) > LEAST_COSINE + 0.004


@pytest.mark.parametrize("is_gelu", [False, True])
def test_a_quantized_layer_computes_what_the_float_layer_does(*, is_gelu: bool) -> None:
    rng = np.random.default_rng(1)
    spread = np.where(np.arange(128) == 7, 30, 1).astype(np.float32)  # a channel far wider than its neighbours
    inputs = (rng.normal(size=(500, 128)) * spread + spread).astype(np.float32)
    weight, bias = rng.normal(size=(32, 128)).astype(np.float32), rng.normal(size=32).astype(np.float32)
    given = ActivationRange(inputs.min(axis=0), inputs.max(axis=0), inputs.mean(axis=0), is_gelu=is_gelu)
    linear, windows = quantize(weight, bias, given), given.windows
    shares = np.clip((inputs[:, windows.inputs] - windows.start) / windows.width, 0, 1)
    found = np.round(shares * 255) / 255 @ (linear.weight * linear.scale).T + linear.bias
    expected = inputs @ weight.T + bias
    assert (len(windows.inputs) > 128) == is_gelu, "the wide channel has several windows behind a GELU alone"
    assert abs(float((found - expected).mean())) < 0.01 * float(expected.std())
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999


@BOTH
def test_windows_hold_the_whole_range(model: BundledModel) -> None:
    for site, given in load_ranges(model.measured).items():
        windows = given.windows
        last = np.flatnonzero(np.diff(windows.inputs, append=len(given.low)))
        first = np.flatnonzero(np.diff(windows.inputs, prepend=-1))
        assert np.all(windows.start[first] <= given.low + 1e-2), site
        assert np.all(windows.start[last] + windows.width[last] >= given.high - 1e-2), site
        assert len(windows.inputs) <= 1.02 * len(given.low), "windows beyond the first cost next to nothing"


@BOTH
def test_every_linear_layer_has_a_range(model: BundledModel) -> None:
    weights = model.load(None).weights
    matrices = [name.removesuffix(".weight") for name, value in weights.items() if value.ndim == 2]
    layers = [name for name in matrices if name.startswith("encoder.layer.")]
    assert {name.rpartition(".")[0] if ".self." in name else name for name in layers} == set(
        load_ranges(model.measured)
    )


@BOTH
def test_the_engine_multiplies_in_int8(model: BundledModel) -> None:
    products = [
        op
        for op in runtime_ops(built("int8", 2, model))
        if str(op.get_rt_info()["layerType"].value) == "FullyConnected"
    ]
    assert len(products) == 6 * model.load(None).layers
    assert {str(op.get_rt_info()["primitiveType"].value)[-2:].lower() for op in products} == {"i8"}
