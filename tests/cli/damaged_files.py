"""Every kind of file that is read, cut short, of another size, of another kind or with values of other types, for errors.py: each is
refused by name. (PEFT and GGUF adapters are only read back by `export --check`: the tests of src/io damage those.)"""
import gzip
import json
import pathlib
import struct

from error_case import DATA, MODEL, TRAIN, Case
from spoiled_models import NORM, tensor_edit
from workplace import colour_row, jsonl

SENTENCEPIECE = pathlib.Path(__file__).resolve().parents[1] / "fuzz/seeds/sentencepiece/bpe_bytes.model"

ANY = {
    "cut short": lambda content: content[:len(content) * 3 // 5],
    "of nothing": lambda content: b"",
    "of another kind": lambda content: b"PK\x03\x04\xff\xfe" + bytes(100),
    "with more behind its end": lambda content: content + b"\xffmore",
}
JSON = {
    **ANY,
    "that is a list": lambda content: b"[]",
    "that is a number": lambda content: b"7",
    "nested without end": lambda content: b"[" * 200_000,
    "that ends twice": lambda content: content + b"{}",
}


def edited(change):
    """`change` is handed the parsed JSON."""
    def edit(content):
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()
    return edit


def damage(path, change):
    def prepare(place):
        file = place.path / path
        file.write_bytes(change(file.read_bytes()))
    return prepare


def cases(path, code, changes, **options):
    """One for each of `changes` to the file at `path` of the workplace, which the options have put there."""
    name = path.rsplit("/", 1)[1]
    return [Case(f"{path} {how}", code, [name], prepare=damage(path, change), **options) for how, change in changes.items()]


def plainly(model):
    """The model as it is, in a copy."""


def in_shards(model):
    """One, with an index."""
    shard = "model-00001-of-00001.safetensors"
    content = (model / "model.safetensors").read_bytes()
    header = json.loads(content[8:8 + struct.unpack("<Q", content[:8])[0]])
    (model / "model.safetensors").rename(model / shard)
    index = {"metadata": {"total_size": len(content)}, "weight_map": {name: shard for name in header if name != "__metadata__"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))


def with_sentencepiece(model):
    (model / "tokenizer.json").unlink()
    (model / "tokenizer.model").write_bytes(SENTENCEPIECE.read_bytes())


def zstd(text):
    """A frame of one block as it is, and no checksum."""
    assert len(text) < 256
    return bytes.fromhex("28b52ffd20") + bytes([len(text)]) + struct.pack("<I", len(text) << 3 | 1)[:3] + text


ROW = jsonl([colour_row("train", 0)]).encode()
LIST = json.dumps([colour_row("train", i) for i in range(9)]).encode()
CSV = b'input,target\na,b\n"c, ""d"" and\nmore of it","e, f"\n'
INFO = b'{"medical": {"file_name": "m.json", "columns": {"prompt": "input", "response": "target"}}}'
IN_LF = {"config": {"data": {"sources": [{"path": "lf/dataset_info.json#medical", "split": "train"}]}},
         "files": {"lf/dataset_info.json": INFO, "lf/m.json": LIST}}

MODEL_FILES = [
    *cases("model/config.json", MODEL, {**JSON, "with text for a number": edited(lambda c: c.update(num_attention_heads="4"))},
           spoil_model=plainly),
    *cases("model/tokenizer.json", MODEL, {**JSON, "with a number for a piece": edited(lambda t: t["model"].update(vocab={"a": "b"}))},
           spoil_model=plainly),
    *cases("model/tokenizer_config.json", MODEL, {**JSON, "with a number for a token": edited(lambda c: c.update(eos_token=2))},
           spoil_model=plainly),
    *cases("model/generation_config.json", MODEL, {**JSON, "with a negative end": edited(lambda c: c.update(eos_token_id=-1))},
           spoil_model=plainly),
    *cases("model/chat_template.jinja", MODEL, {how: ANY[how] for how in ("cut short", "of another kind", "with more behind its end")},
           spoil_model=plainly),
    *cases("model/tokenizer.model", MODEL, ANY, spoil_model=with_sentencepiece),
    *cases("model/model.safetensors", MODEL, ANY, spoil_model=plainly, arguments=TRAIN),
    Case("model/model.safetensors with integers for weights", MODEL, ["model.safetensors", NORM, "I32"], TRAIN,
         spoil_model=tensor_edit(NORM, lambda tensor: tensor.update(dtype="I32"))),
    *cases("model/model.safetensors.index.json", MODEL,
           {**JSON, "with a number for a shard": edited(lambda index: index["weight_map"].update({NORM: 1})),
            "that leads elsewhere": edited(lambda index: index["weight_map"].update({NORM: "../model.safetensors"}))},
           spoil_model=in_shards, arguments=TRAIN),
    *cases("model/model-00001-of-00001.safetensors", MODEL, ANY, spoil_model=in_shards, arguments=TRAIN),
]

ROW_FILES = [
    *cases("data/odd/train.jsonl", DATA, {how: ANY[how] for how in ANY if how != "of nothing"}, files={"data/odd/train.jsonl": ROW * 4}),
    *cases("data/odd/train.json", DATA, {how: ANY[how] for how in ANY if how != "of nothing"}, files={"data/odd/train.json": LIST}),
    *cases("data/odd/train.csv", DATA, {how: ANY[how] for how in ANY if how != "of nothing"}, files={"data/odd/train.csv": CSV}),
    *cases("data/odd/train.jsonl.gz", DATA, ANY, files={"data/odd/train.jsonl.gz": gzip.compress(ROW * 50)}),
    *cases("data/odd/train.jsonl.zst", DATA, ANY, files={"data/odd/train.jsonl.zst": zstd(ROW)}),
    *cases("lf/dataset_info.json", DATA, {**JSON, "with a number for a file": edited(lambda info: info["medical"].update(file_name=7))},
           **IN_LF),
]

RUN_FILES = [case for name in ("manifest.json", "moelora_config.json", "moelora.safetensors")
             for case in cases(f"out/adapter/{name}", MODEL, ANY, arguments=["gates", "out"], needs_run=True)]

DAMAGED = [*MODEL_FILES, *ROW_FILES, *RUN_FILES]
