"""Qwen3-Embedding and Qwen3-Reranker in small: the real vocabulary and file layout, two layers of random weights.

The layout is that of the published checkpoints, so vLLM, sentence-transformers and transformers load them alike.
Vocabulary: Qwen's byte pairs as they ship with Winnow, then the special tokens as Qwen3 publishes them.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model
from transformers.convert_slow_tokenizer import TikTokenConverter

BYTE_PAIRS = Path(__file__).parents[2] / "winnow" / "models" / "qwen.tiktoken.xz"
VOCABULARY = 151_669
END_OF_TEXT = 151_643
DIMENSIONS = 64
MAX_POSITIONS = 32_768
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
ADDED = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> "
    "<tool_response> </tool_response> <think> </think>"
).split()
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TASK = "Given a web search query, retrieve relevant passages that answer the query"


def make_embedder(folder: Path) -> Path:
    """Write a Qwen3-Embedding of 64 dimensions to ``folder``: its tokenizer closes every text with <|endoftext|>."""
    folder.mkdir(parents=True, exist_ok=True)
    model = Qwen3Model(_config(END_OF_TEXT))
    _fill(model, seed=3)
    _save_weights(model, folder)
    _save_tokenizer(folder, closing=True)
    module = "sentence_transformers.models"
    _write(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
        ],
    )
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": DIMENSIONS,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "pooling_mode_weightedmean_tokens": False,
            "pooling_mode_lasttoken": True,
            "include_prompt": True,
        },
    )
    _write(
        folder / "config_sentence_transformers.json",
        {
            "prompts": {"query": f"Instruct: {TASK}\nQuery:", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    return folder


def make_reranker(folder: Path) -> Path:
    """Write a Qwen3-Reranker to ``folder``: the language model as published, whose answers are "yes" and "no"."""
    folder.mkdir(parents=True, exist_ok=True)
    model = Qwen3ForCausalLM(_config(eos=151_645))
    _fill(model, seed=5, sharpness=6.0)
    _save_weights(model, folder)
    _save_tokenizer(folder, closing=False)
    return folder


def _config(eos: int) -> Qwen3Config:
    return Qwen3Config(
        architectures=["Qwen3ForCausalLM"],
        vocab_size=VOCABULARY,
        hidden_size=DIMENSIONS,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=MAX_POSITIONS,
        rope_theta=1_000_000.0,
        tie_word_embeddings=True,
        bos_token_id=END_OF_TEXT,
        eos_token_id=eos,
        pad_token_id=None,
    )


def _fill(model: Any, seed: int, sharpness: float = 1.0) -> None:
    """Draw the weights so that the words of a text decide where its last state points, and not its closing token.

    Args:
        model: filled in place.
        seed: chosen among a few for telling the texts of the tests apart.
        sharpness: factor on the last state: how far the logits of a language model are from each other.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                scale = 0.1 if "embed_tokens" in name else weight.shape[1] ** -0.5
                weight.normal_(0.0, 2 * scale if "o_proj" in name else scale, generator=generator)
            else:
                weight.fill_(0.5 if "q_norm" in name else 1.0)
        model.get_decoder().norm.weight.fill_(sharpness)


def _save_weights(model: Any, folder: Path) -> None:
    """In bfloat16, as published; the head of a language model is that of its embeddings and not stored twice."""
    kept = {name: value.to(torch.bfloat16).contiguous() for name, value in model.state_dict().items()}
    kept.pop("lm_head.weight", None)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    settings = model.config.to_diff_dict() | {"architectures": ["Qwen3ForCausalLM"], "dtype": "bfloat16"}
    _write(folder / "config.json", settings)


def _save_tokenizer(folder: Path, *, closing: bool) -> None:
    tokenizer = Tokenizer.from_str(_vocabulary())
    if closing:
        end = processors.TemplateProcessing(
            single="$A <|endoftext|>",
            pair="$A <|endoftext|> $B <|endoftext|>",
            special_tokens=[("<|endoftext|>", END_OF_TEXT)],
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), end])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "additional_special_tokens": SPECIAL[1:],
            "add_bos_token": False,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": 131_072,
            "added_tokens_decoder": {
                str(END_OF_TEXT + number): {
                    "content": content,
                    "lstrip": False,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                    "special": content in SPECIAL,
                }
                for number, content in enumerate([*SPECIAL, *ADDED])
            },
        },
    )


@cache
def _vocabulary() -> str:
    """The tokenizer of all Qwen3 models in the format of ``tokenizer.json``."""
    with tempfile.NamedTemporaryFile(suffix=".tiktoken") as file:
        file.write(lzma.decompress(BYTE_PAIRS.read_bytes()))
        file.flush()
        tokenizer = TikTokenConverter(file.name, pattern=PATTERN).tokenizer()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in SPECIAL])
    tokenizer.add_tokens([AddedToken(each, normalized=False) for each in ADDED])
    if (tokenizer.token_to_id("</think>"), tokenizer.get_vocab_size()) != (VOCABULARY - 1, VOCABULARY):
        raise ValueError("the vocabulary that ships with Winnow is not Qwen's any more")
    return tokenizer.to_str()


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
