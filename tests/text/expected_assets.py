"""Small model directories with differing configurations, and what transformers' AutoTokenizer makes of each."""
import json
import shutil

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

TEXTS = ["plain text", "<s>hi</s> <extra> <later> <pad> x", "", "a <mask> b"]
TEXT_TEMPLATE = "{{ bos_token }}{{ eos_token }}{{ messages[0].content }}"


def special(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **flags}


# name -> (tokenizer_config.json, special_tokens_map.json, other files)
DIRECTORIES = {
    "bare": (None, None, {}),
    "names": ({"bos_token": "<s>", "eos_token": "</s>"}, None, {}),
    "bos": ({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": False}, None, {}),
    "bos_eos": ({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": True}, None, {}),
    "no_bos": ({"bos_token": None, "eos_token": "</s>", "add_bos_token": True}, None, {}),
    "objects": ({"bos_token": {"__type": "AddedToken", **special("<s>")}, "eos_token": {"__type": "AddedToken", **special("</s>")}}, None, {}),
    "new_tokens": ({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "additional_special_tokens": ["<extra>"],
                    "added_tokens_decoder": {"0": special("<s>"), "1": special("</s>"), "300": special("<extra>"),
                                             "301": special("<later>", special=False, lstrip=True, rstrip=True)}}, None, {}),
    "named_tokens": ({"bos_token": "<s>", "image_token": "<extra>", "extra_special_tokens": {"later_token": "<later>"}}, None, {}),
    "map_of_old_kind": ({"eos_token": "<s>"}, {"bos_token": special("<s>"), "eos_token": "</s>", "pad_token": "<pad>",
                                               "additional_special_tokens": ["<extra>"]}, {}),
    "map_beside_new_kind": ({"eos_token": "<s>", "added_tokens_decoder": {"0": special("<s>")}}, {"eos_token": "</s>"}, {}),
    "split_special": ({"bos_token": "<s>", "eos_token": "</s>", "split_special_tokens": True}, None, {}),
    "template": ({"bos_token": "<s>", "chat_template": "config " + TEXT_TEMPLATE}, None, {}),
    "template_list": ({"bos_token": "<s>", "chat_template": [{"name": "tool_use", "template": "tools " + TEXT_TEMPLATE},
                                                            {"name": "default", "template": "default " + TEXT_TEMPLATE}]}, None, {}),
    "template_file": ({"bos_token": "<s>", "chat_template": "config " + TEXT_TEMPLATE}, None,
                      {"chat_template.jinja": "file " + TEXT_TEMPLATE + "\r\nend\n"}),
    "template_files": ({"chat_template": "config " + TEXT_TEMPLATE}, None,
                       {"chat_template.jinja": "file " + TEXT_TEMPLATE, "additional_chat_templates/tool_use.jinja": "tool file " + TEXT_TEMPLATE}),
}


def tokenizer():
    """Byte-level, with truncation and padding that encoding must ignore."""
    result = Tokenizer(models.BPE())
    result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    result.decoder = decoders.ByteLevel()
    result.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    result.train_from_iterator(["plain text, a plainer text and the plainest"] * 4, trainer)
    return result


def outcome(auto):
    if auto.chat_template is None:
        return None
    return auto.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)


def write_directories(folder):
    shutil.rmtree(folder, ignore_errors=True)
    base = tokenizer()
    for name, (config, token_map, files) in DIRECTORIES.items():
        directory = folder / name
        directory.mkdir(parents=True)
        base.save(str(directory / "tokenizer.json"))
        for file, value in (("tokenizer_config.json", config), ("special_tokens_map.json", token_map)):
            if value is not None:
                (directory / file).write_text(json.dumps(value), encoding="utf-8")
        for file, text in files.items():
            (directory / file).parent.mkdir(exist_ok=True)
            (directory / file).write_bytes(text.encode())
        auto = AutoTokenizer.from_pretrained(directory)
        expected = {
            "named": auto.special_tokens_map,
            "ids": {key: auto.convert_tokens_to_ids(token) for key, token in auto.special_tokens_map.items()},
            "vocab_size": len(auto),
            "special": sorted(i for i, token in auto.added_tokens_decoder.items() if token.special),
            "encoded": [{"text": text, "ids": auto.encode(text), "bare": auto.encode(text, add_special_tokens=False)} for text in TEXTS],
            "decoded": [auto.decode(auto.encode(text), skip_special_tokens=True) for text in TEXTS],
            "rendered": outcome(auto),
        }
        (directory / "expected.json").write_text(json.dumps(expected, ensure_ascii=False), encoding="utf-8")
