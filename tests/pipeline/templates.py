# ruff: noqa: RUF001 - the control tokens of DeepSeek have a wide bar
"""Chat templates of the families, of the trl wheel and a few more, each with the tokens it needs.

That is what :func:`tests.pipeline.families.write_tokenizer` takes, with ``before`` (what a template
writes between prompt and response) and ``end`` (what ends a response).
"""

from tests.pipeline.families import TEMPLATES

THOUGHT = ["<think>", "</think>"]
CHATML = {"special": ["<bos>", "<|im_end|>", "<|im_start|>"], "plain": THOUGHT, "end": "<|im_end|>"}
LLAMA = {
    "special": ["<bos>", "<eos>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
    "stops": ["<eos>", "<|eot_id|>"], "end": "<|eot_id|>",
}  # fmt: skip
GEMMA = {
    "style": "none", "special": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    "stops": ["<eos>", "<end_of_turn>"], "end": "<end_of_turn>",
}  # fmt: skip
GEMMA_4 = {
    "style": "none", "stops": ["<eos>", "<turn|>"], "end": "<turn|>",
    "special": ["<bos>", "<eos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"],
}  # fmt: skip
DEEPSEEK = {
    "special": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
    "plain": ["<｜User｜>", "<｜Assistant｜>", *THOUGHT],
    "before": "</think>\n\n", "end": "<｜end▁of▁sentence｜>",
}  # fmt: skip
PHI = {
    "style": "legacy", "special": ["<s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"],
    "stops": ["<|endoftext|>", "<|assistant|>", "<|end|>"], "strip": True, "end": "<|end|>",
}  # fmt: skip
COHERE = {
    "special": [
        "<bos>", "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>",
        "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>",
    ],
    "end": "<|END_OF_TURN_TOKEN|>",
}  # fmt: skip
SPECIAL = {
    "gptoss": {
        "special": ["<bos>", "<|return|>", "<|start|>", "<|channel|>", "<|message|>", "<|end|>"],
        "before": "<|channel|>final<|message|>", "end": "<|return|>",
    },
    "glm4moe": {
        "special": ["[gMASK]", "<|endoftext|>", "<sop>", "<|user|>", "<|assistant|>", "<|system|>"],
        "plain": [*THOUGHT, "/nothink"], "stops": ["<|endoftext|>", "<|user|>"],
        "before": "\n", "end": "<|user|>",
    },
    "cohere2": COHERE | {"end": "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"},
    "muse_glimmer": {
        "special": ["<bos>", "<|eot|>", "<|start|>", "<|message|>"],
        "before": "to=user<|message|>", "end": "<|eot|>",
    },
}  # fmt: skip
FAMILIES = {
    "qwen": CHATML, "nemotron": CHATML, "lfm2": CHATML, "llama3": LLAMA, "gemma4": GEMMA_4,
    "diffusion_gemma": GEMMA_4, "gemma": GEMMA, "deepseek": DEEPSEEK, "phi": PHI, "cohere": COHERE,
}  # fmt: skip
REFUSED = {
    "idefics3": "no tokens supervised", "smolvlm": "no tokens supervised",
    "llava_next": "not rendered",
}  # fmt: skip
"""They take the parts of a picture message alone, no text."""

ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + "
    "message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' "
    "+ message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != "
    "(loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
YI = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SENTENCEPIECE = {
    "tinyllama": (ZEPHYR, {"style": "legacy", "special": ["<s>", "</s>"], "end": "</s>"}),
    "zephyr": (ZEPHYR, {"style": "first", "special": ["<s>", "</s>"], "end": "</s>"}),
    "mistral_v0.1": (MISTRAL, {"style": "legacy", "special": ["<s>", "</s>"], "end": "</s>"}),
    "mistral_v0.3": (
        MISTRAL, {"style": "first", "special": ["<s>", "</s>", "[INST]", "[/INST]"], "end": "</s>"}
    ),
    "yi": (YI, CHATML | {"style": "none"}),
    "internlm": (YI, CHATML | {"style": "legacy"}),
}  # fmt: skip
ALL = SENTENCEPIECE | {
    name: (
        text,
        SPECIAL.get(name) or next(f for start, f in FAMILIES.items() if name.startswith(start)),
    )
    for name, text in TEMPLATES.items()
    if name not in REFUSED
}
