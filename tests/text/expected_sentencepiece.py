"""SentencePiece models, alone and in directories, and what the Python package and the published tokenizers' rules make of texts."""
import json
import pathlib
import shutil

import expected_texts
from sentencepiece_models import BYTES, CHATGLM3_TEMPLATE, CHATGLM_CONFIG, PLAIN, ChatGlm2, ChatGlm3, Directory, processor, train, write_chatglm

MODELS = pathlib.Path(__file__).parents[2] / ".deps/tokenizers"
PUBLISHED = ("mistral_v1", "mistral_v3", "j2")
TIED = ("j2",)  # of whose segmentations several are equally probable
TEXTS = ["plain text", "", " ", "<s>hi</s> <unk> x<|user|>y", "philosophy, isopods and [gMASK]sop sop", "[gMASK]", "问：好\n\n答：", "a\tb\n c ",
         "<extra> <extra>x<extra>", "😀<s>\x00\x7f"]
CONVERSATIONS = [
    [{"role": "user", "content": "你好"}],
    [{"role": "user", "content": "What is 3.5 mg/kg?"}, {"role": "assistant", "content": "A dose.\nPer day"},
     {"role": "user", "content": " and\n\nthen 😀?"}],
    [{"role": "user", "content": ""}],
    [{"role": "user", "content": "the philosophy of sop, <s> and eop"}],
]
ANSWERS = ["糖尿病", "no\nnone", "x" * 50]


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def of_model(model, tied):
    """As make_expected's encodings, with one list of ids: nothing is added to a text. With the pieces' scores where they are `tied`."""
    sp = processor(model)
    cases = [{"text": text, "ids": (ids := sp.encode(text)), "decoded": sp.decode(ids)} for text in expected_texts.texts()]
    pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    scores = [sp.get_score(i) for i in range(len(pieces))] if tied else []
    return {"cases": cases, "pieces": pieces, "scores": scores, "special": [i for i in range(len(pieces)) if sp.is_control(i) or sp.is_unknown(i)],
            "random": [{"ids": ids, "decoded": sp.decode(ids)} for ids in random_ids(len(pieces))]}


def random_ids(count):
    draw = expected_texts.random.Random(7)
    return [[draw.randrange(count) for _ in range(draw.randint(1, 30))] for _ in range(300)]


def special(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **flags}


def write_all(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    models = {"bytes": train(600, **BYTES), "plain": train(400, **PLAIN),
              **{name: (MODELS / name / "tokenizer.model").read_bytes() for name in PUBLISHED}}
    for name, model in models.items():
        (folder / f"{name}.model").write_bytes(model)
        write(folder / f"{name}.json", of_model(model, name in TIED))
    write_llama_directories(folder, models)
    write_chatglm_directories(folder, models["bytes"])


def write_llama_directories(folder, models):
    pieces = processor(models["bytes"]).vocab_size()
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    own = {"<unk>": 0, "<s>": 1, "</s>": 2}
    directories = {  # name -> (tokenizer_config.json, the tokens of a Directory, what it puts around a text)
        "bare": (None, own, {}),
        "llama": ({"tokenizer_class": "LlamaTokenizer", **names}, own, {}),
        "baichuan": ({"tokenizer_class": "BaichuanTokenizer", "add_bos_token": False, "add_eos_token": False,
                      **{key: special(token) for key, token in names.items()}}, own, {"bos": False}),
        "both": ({"add_bos_token": True, "add_eos_token": True, **names}, own, {"eos": True}),
        "added": ({**names, "added_tokens_decoder": {"0": special("<unk>"), "1": special("<s>"), "2": special("</s>"),
                                                     str(pieces + 2): special("<extra>"), "10": special("<|user|>")}},
                  {**own, "<extra>": pieces + 2, "<|user|>": 10}, {}),
        "mistral_v1": ({"tokenizer_class": "LlamaTokenizer", "legacy": True, **names}, own, {}),
    }
    for name, (config, tokens, around) in directories.items():
        published = name in PUBLISHED
        model = models[name if published else "bytes"]
        (folder / name).mkdir()
        (folder / name / "tokenizer.model").write_bytes(model)
        if config is not None:
            write(folder / name / "tokenizer_config.json", config)
        oracle = Directory(model, tokens, **around)
        write(folder / name / "expected.json",
              {"cases": [{"text": text, "ids": oracle.encode(text), "bare": oracle.bare(text)}
                         for text in TEXTS + (expected_texts.texts() if published else [])],
               "named": names, "tokens": tokens, "id_limit": max(processor(model).vocab_size(), *(i + 1 for i in tokens.values()))})


def write_chatglm_directories(folder, model):
    for name, oracle in {"chatglm2": ChatGlm2(model), "chatglm3": ChatGlm3(model), "chatglm3_template": ChatGlm3(model)}.items():
        (folder / name).mkdir()
        write_chatglm(folder / name, model, third=name == "chatglm3")
        if name == "chatglm3_template":
            write(folder / name / "tokenizer_config.json", {**CHATGLM_CONFIG, "chat_template": CHATGLM3_TEMPLATE})
        write(folder / name / "expected.json",
              {"commands": oracle.commands, "chats": [{"messages": chat, "ids": oracle.prompt(chat)} for chat in CONVERSATIONS],
               "answers": [{"text": text, "ids": oracle.answer(text)} for text in ANSWERS],
               "plain": [{"text": text, "ids": oracle.prefix() + oracle.model.encode(text)} for text in ("hi", "sop 你好", "a sop")]})
