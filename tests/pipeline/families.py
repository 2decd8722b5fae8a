"""Base models in the style of each family: real chat templates, tokenizers made on the spot.

The templates are those that trl carries. Two kinds of tokenizers hold all traps: byte-level ones,
and SentencePiece-like ones that put a space before a text. Special tokens are named in
tokenizer_config.json by some families, and by others only marked as special.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer

CORPUS = Path(__file__).parents[2] / "data/seeds/seed_tasks.jsonl"


def templates():
    """The chat templates in trl, by name, but for those that it rewrote for training."""
    found = find_spec("trl")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "chat_templates"
    files = [file for file in sorted(folder.glob("*.jinja")) if "_training" not in file.stem]
    return {file.stem: file.read_text("utf-8") for file in files}


TEMPLATES = templates()


@cache
def _byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train([str(CORPUS)], trainer)
    return tokenizer.to_str()


@cache
def _sentencepiece(style):
    """With byte fallback; ``legacy`` (Llama 2, TinyLlama) and ``first`` put a space before."""
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.normalizer = normalizers.Replace(" ", "▁")
    words.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    trainer = BpeTrainer(vocab_size=800, special_tokens=special, show_progress=False)
    words.train([str(CORPUS)], trainer)
    trained = json.loads(words.to_str())["model"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if style == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    else:
        prepend = [normalizers.Prepend("▁")] if style == "legacy" else []
        replace = normalizers.Replace(" ", "▁")
        tokenizer.normalizer = normalizers.Sequence([*prepend, replace])
    if style != "none":
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    spec = json.loads(tokenizer.to_str())
    spec["model"] |= {"vocab": trained["vocab"], "merges": trained["merges"]}
    return json.dumps(spec)


def write_tokenizer(
    folder, template, style="bytes", special=(), plain=(), named=None, stops=None, strip=False
):
    """Write the tokenizer of a base model into a folder; returns the ``tokenizers`` object.

    Args:
        folder: made.
        template: text of the chat template.
        style: ``bytes``, or ``legacy``, ``first`` or ``none`` of SentencePiece.
        special: tokens marked as special; the first is bos, the second eos.
        plain: added tokens that are not special.
        named: what tokenizer_config.json says besides.
        stops: end tokens in generation_config.json; None leaves the file out.
        strip: special tokens swallow blanks behind them (Phi-3).
    """
    tokenizer = Tokenizer.from_str(_byte_level() if style == "bytes" else _sentencepiece(style))
    begin = ["<unk>"] if style != "bytes" else []
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False, rstrip=strip) for text in
         (*begin, *special)]
    )  # fmt: skip
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    config |= {"bos_token": special[0], "eos_token": special[1]} | (named or {})
    config |= {"unk_token": "<unk>"} if style != "bytes" else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template)
    if stops is not None:
        ids = [tokenizer.token_to_id(text) for text in stops]
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    return tokenizer


def write_qwen3(folder, template=None):
    """Write a Qwen3 of two layers with random weights, which never stops by chance."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = write_tokenizer(
        folder, template or TEMPLATES["qwen3"], special=["<|endoftext|>", "<|im_end|>"],
        plain=["<think>", "</think>", "<|im_start|>"], stops=["<|im_end|>", "<|endoftext|>"],
    )  # fmt: skip
    stops = (folder / "generation_config.json").read_bytes()
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=96,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        max_position_embeddings=2048, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Qwen3ForCausalLM(config).save_pretrained(folder)
    (folder / "generation_config.json").write_bytes(stops)
