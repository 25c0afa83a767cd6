"""Tiny vision-language models with random weights, made on the spot: the real code path, offline.

``python tests/tiny_models.py FOLDER FAMILY`` writes one that `transformers serve` can serve.
"""

import sys
from pathlib import Path

FAMILIES = ("llava-next", "idefics3", "gemma3", "paligemma", "qwen2.5-vl")
NEEDS_TORCHVISION = ("qwen2.5-vl",)  # its processor has a part for videos, which does


def fitting_torchvision():
    """Say whether torchvision is here and fits PyTorch; one that does not is hidden.

    transformers imports it wherever it is installed, and then nothing at all can be loaded.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return False
    except RuntimeError:  # operator torchvision::nms does not exist
        sys.modules["torchvision"] = None
        return False
    return True


_WORDS = (
    "Describe the overhead image in five variants. An aerial view of a harbour with two white "
    "ships moored at a long pier; north is up. Buildings with grey roofs stand along a straight "
    'road, and a green field lies to the south. {"variants":[{"one_sentence":"a","feature":"b",'
    '"caption":"c"}]} the of and in is at on by with residential area trees parking lot river '
)
_TURNS = (
    "{{% for message in messages %}}<turn>{{{{ message['role'] }}}}\n"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}<end>\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}<turn>assistant\n{{% endif %}}"
)
_MEAN = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def make_tiny_model(folder, family):
    """Write a random model of a family with its processor into ``folder`` and return the folder."""
    import torch

    fitting_torchvision()
    torch.manual_seed(0)
    processor, model = _BUILDERS[family]()
    # Weights so small as the usual ones would hide the picture behind the prompt.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
        _speak_in_words(model, processor.tokenizer)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return Path(folder)


def _speak_in_words(model, tokenizer):
    """Let the model prefer long tokens, so that a loop meets the schema's limits in few steps."""
    head = model.get_output_embeddings().weight
    for number in range(len(head)):
        text = tokenizer.decode([number]) if number < len(tokenizer) else ""
        if not (text.isascii() and text.strip().isalpha() and len(text) >= 4) and '"' not in text:
            head[number] = 0.0


def _tokenizer(**named):
    """Train a byte-level BPE of 400 tokens and give it the special tokens of a family."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<eos>", "<turn>", "<end>", *named.values()]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        [_WORDS],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens=named,
        padding_side="right",  # left is what the captioner must ask for
    )


def _text(tokenizer, **more):
    """Return the settings of a decoder with more rows than its tokenizer has tokens."""
    return {
        "vocab_size": len(tokenizer) + 13,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 8192,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **more,
    }


def _vision(**more):
    """Return the settings of a vision tower that sees 28 × 28 pixels as four patches."""
    return {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        **more,
    }


def _llava_next():
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokenizer = _tokenizer(image_token="<image>")
    grid = [[28, 56], [56, 28], [56, 56]]
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": 28},
            crop_size={"height": 28, "width": 28},
            image_grid_pinpoints=grid,
            **_MEAN,
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TURNS.format(image="<image>\n"),
    )
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_vision(projection_dim=16)),
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
    )
    return processor, LlavaNextForConditionalGeneration(config)


def _idefics3():
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    tokenizer = _tokenizer(
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )
    processor = Idefics3Processor(
        Idefics3ImageProcessor(
            size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, **_MEAN
        ),
        tokenizer,
        image_seq_len=1,
        chat_template=_TURNS.format(image="<image>"),
    )
    config = Idefics3Config(
        vision_config=_vision(),
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return processor, Idefics3ForConditionalGeneration(config)


def _gemma3():
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    tokenizer = _tokenizer(
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 28, "width": 28}, **_MEAN),
        tokenizer,
        image_seq_length=4,
        chat_template="{{ bos_token }}" + _TURNS.format(image="<start_of_image>"),
    )
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**_vision(vision_use_head=False)),
        text_config=Gemma3TextConfig(**_text(tokenizer, query_pre_attn_scalar=16)),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
    )
    return processor, Gemma3ForConditionalGeneration(config)


def _paligemma():
    """Build a PaliGemma, which has no chat template."""
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
        SiglipVisionConfig,
    )

    tokenizer = _tokenizer(image_token="<image>")
    images = SiglipImageProcessor(size={"height": 28, "width": 28}, **_MEAN)
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(images, tokenizer)  # adds its own thousand tokens
    text = _text(processor.tokenizer)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**_vision(projection_dim=32, vision_use_head=False)),
        text_config=GemmaConfig(**text),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vocab_size=text["vocab_size"],
        projection_dim=32,
        hidden_size=32,
    )
    return processor, PaliGemmaForConditionalGeneration(config)


def _qwen():
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = _tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    size = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=size, **_MEAN),
        tokenizer,
        Qwen2VLVideoProcessor(size=size, **_MEAN),
        chat_template=_TURNS.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )

    def number(token):
        return tokenizer.convert_tokens_to_ids(token)

    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    text = _text(tokenizer, rope_parameters=rope)
    text.pop("head_dim")
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        text_config=text,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    return processor, Qwen2_5_VLForConditionalGeneration(config)


_BUILDERS = {
    "llava-next": _llava_next,
    "idefics3": _idefics3,
    "gemma3": _gemma3,
    "paligemma": _paligemma,
    "qwen2.5-vl": _qwen,
}

if __name__ == "__main__":
    print(make_tiny_model(sys.argv[1], sys.argv[2]))
