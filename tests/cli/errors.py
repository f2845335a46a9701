"""Every wrong input gets its message: a table of wrong inputs, each with its exit code and what standard error must say.

  python tests/cli/errors.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME] [--show]
"""
import argparse
import fcntl
import gzip
import json
import shutil
import struct
import sys

from error_case import CONFIG, DATA, IO, LIMIT, LONG, MODEL, NUMERIC, USAGE, Case, small_disk
from generation_errors import GENERATION
from workplace import Workplace, colour_row, jsonl

TRAIN = ["train", "run.yaml"]
EVAL = ["eval", "out", "--base", "model"]


def raw(text):
    return {"run.yaml": text}


def row_file(*rows):
    """data/ with one more task `odd`, whose training rows these are."""
    return {"data/odd/train.jsonl": b"".join(r if isinstance(r, bytes) else (json.dumps(r) + "\n").encode() for r in rows)}


def edit_json(name, change):
    def spoil(model):
        content = json.loads((model / name).read_text())
        change(content)
        (model / name).write_text(json.dumps(content))
    return spoil


def remove(*names):
    def spoil(model):
        for name in names:
            (model / name).unlink()
    return spoil


def write(name, content):
    return lambda model: (model / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def edit_weights(change):
    """`change` is handed the safetensors header as an object and the data, and returns the data."""
    def spoil(model):
        path = model / "model.safetensors"
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header, data = json.loads(content[8:8 + size]), content[8 + size:]
        data = change(header, data)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return spoil


def cut_weights(share):
    def spoil(model):
        path = model / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[:int(len(content) * share)])
    return spoil


def lie_about_header(model):
    path = model / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def tensor_edit(name, change):
    def edit(header, data):
        change(header[name])
        return data
    return edit_weights(edit)


def drop_tensor(name):
    def edit(header, data):
        del header[name]
        return data
    return edit_weights(edit)


def overwrite_tensor(name, value):
    def edit(header, data):
        begin, end = header[name]["data_offsets"]
        return data[:begin] + struct.pack("<f", value) * ((end - begin) // 4) + data[end:]
    return edit_weights(edit)


def flip_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def hold_lock(place):
    place.held = open(place.path / "out/.lock", "a")
    fcntl.flock(place.held, fcntl.LOCK_EX)


NORM = "model.layers.1.input_layernorm.weight"

COMMAND_LINE = [
    Case("unknown verb", USAGE, ["unknown verb `trian`", "did you mean `train`"], ["trian", "run.yaml"]),
    Case("no verb", USAGE, ["--help"], []),
    Case("unknown flag of train", USAGE, ["unknown argument `--resum`", "`--resume`"], [*TRAIN, "--resum"]),
    Case("unknown flag of eval", USAGE, ["unknown argument `--tsak`", "did you mean `--task`"], ["eval", "out", "--tsak", "colour"]),
    Case("flag without its value", USAGE, ["--train.seed"], [*TRAIN, "--train.seed"]),
    Case("no configuration named", USAGE, ["config"], ["train"]),
    Case("export without a directory", USAGE, ["--to"], ["export", "out"]),
    Case("unknown split", USAGE, ["--split", "tset"], ["eval", "out", "--split", "tset"]),
    Case("no answer length", USAGE, ["--max-new-tokens"], ["generate", "out", "--task", "echo", "--max-new-tokens", "0"]),
    Case("an argument that isn't UTF-8", USAGE, ["argument 2 is not valid UTF-8"], ["train", "\udcff.yaml"]),
    Case("fewer than no rows", USAGE, ["--rows"], ["eval", "out", "--rows", "-5"]),
    Case("rows that aren't a number", USAGE, ["--rows", "many"], ["eval", "out", "--rows", "many"]),
    Case("rendering without a model", USAGE, ["--render", "--model"], ["data", "inspect", "data", "--render", "1"]),
]

CONFIGURATION = [
    Case("missing file", CONFIG, ["absent.yaml"], ["validate", "absent.yaml"]),
    Case("a directory as the file", CONFIG, ["data"], ["validate", "data"]),
    Case("empty file", CONFIG, ["`model` is missing", "`data` is missing"], files=raw("")),
    Case("bad YAML", CONFIG, ["run.yaml:2"], files=raw("model: x\n  data: [1, 2\n")),
    Case("not a mapping", CONFIG, ["run.yaml", "mapping"], files=raw("- model\n- data\n")),
    Case("alias", CONFIG, ["run.yaml", "alias"], files=raw("model: &m x\noutput: *m\ndata: data\n")),
    Case("a key twice", CONFIG, ["run.yaml:2", "model"], files=raw("model: x\nmodel: y\ndata: data\n")),
    Case("unknown key", CONFIG, ["unknown key `adaptor`", "did you mean `adapter`"], config={"adaptor": {}}),
    Case("unknown nested key", CONFIG, ["run.yaml:14", "unknown key `adapter.exprts`", "did you mean `experts`"], config={"adapter": {"exprts": 4}}),
    Case("unknown key as a flag", CONFIG, ["learning_rat", "did you mean `learning_rate`"],
         ["validate", "run.yaml", "--train.learning_rat=1"]),
    Case("wrong type", CONFIG, ["adapter.experts", "many", "integer"], config={"adapter": {"experts": "many"}}),
    Case("wrong type as a flag", CONFIG, ["train.seed", "soon", "integer"], ["validate", "run.yaml", "--train.seed=soon"]),
    Case("list for a mapping", CONFIG, ["train", "mapping"], config={"train": [1]}),
    Case("rank of 0", CONFIG, ["adapter.rank", "0"], config={"adapter": {"rank": 0}}),
    Case("dropout of 1", CONFIG, ["adapter.dropout"], config={"adapter": {"dropout": 1}}),
    Case("learning rate that isn't a number", CONFIG, ["train.learning_rate"], config={"train": {"learning_rate": ".nan"}}),
    Case("warm-up over the whole run", CONFIG, ["train.warmup_ratio"], config={"train": {"warmup_ratio": 1.5}}),
    Case("one checkpoint kept", CONFIG, ["checkpoint.keep", "2"], config={"checkpoint": {"keep": 1}}),
    Case("unknown method", CONFIG, ["adapter.method", "moelra", "did you mean `moelora`"], config={"adapter": {"method": "moelra"}}),
    Case("unknown schedule", CONFIG, ["train.schedule", "linaer", "did you mean `linear`"], config={"train": {"schedule": "linaer"}}),
    Case("unknown overflow rule", CONFIG, ["data.overflow", "cut_middel", "cut_middle"], config={"data": {"overflow": "cut_middel"}}),
    Case("no model", CONFIG, ["model"], config={"model": None}),
    Case("no data", CONFIG, ["data"], config={"data": None}),
    Case("rank not divisible by experts", CONFIG, ["adapter.rank", "6", "4"], config={"adapter": {"rank": 6, "experts": 4}}),
    Case("unknown target", CONFIG, ["adapter.targets", "q_prj", "q_proj"], config={"adapter": {"targets": ["q_prj"]}}),
    Case("pattern that matches nothing", CONFIG, ["adapter.targets", "layers.9"], config={"adapter": {"targets": ["*.layers.9.*"]}}),
    Case("random weights under an adapter", CONFIG, ["random_init", "full"], config={"random_init": True}),
    Case("micro-batch shorter than a sample", CONFIG, ["train.tokens_per_batch", "100"], config={"train": {"tokens_per_batch": 50}}),
    Case("settings of a task without rows", CONFIG, ["color", "colour"], config={"tasks": {"color": {"max_rows": 1}}}),
    Case("best by an unknown task", CONFIG, ["eval.best", "color", "did you mean `colour`"], config={"eval": {"best": "color"}}),
    Case("unknown metric", CONFIG, ["tasks.colour.metric", "macro_f2", "did you mean `macro_f1`"], config={"tasks": {"colour": {"metric": "macro_f2"}}}),
    Case("two metrics and a target that are wrong", CONFIG, ["tasks.colour.metric", "tasks.echo.metric", "adapter.targets", "3 errors"],
         config={"tasks": {"colour": {"metric": "macro_f2"}, "echo": {"metric": "rouge"}}, "adapter": {"targets": ["q_prj"]}}),
    Case("batch beyond counting", CONFIG, ["train.batch_size", "1000000000"], config={"train": {"batch_size": (1 << 63) - 1}}),
    Case("unknown format", CONFIG, ["alpacca", "did you mean `alpaca`"],
         config={"data": {"sources": [{"path": "data", "format": "alpacca"}]}}),
    Case("unknown split of a source", CONFIG, ["split", "tran"], config={"data": {"sources": [{"path": "data", "split": "tran"}]}}),
    Case("file whose name says no split", CONFIG, ["rows.jsonl", "split"], config={"data": {"sources": ["rows.jsonl"]}},
         files={"rows.jsonl": jsonl([colour_row("train", 0)])}),
]

ROWS = [
    Case("missing data source", DATA, ["absent", "doesn't exist"], config={"data": {"sources": ["absent"]}}),
    Case("no split files", DATA, ["no split files", "trian.jsonl"], config={"data": {"sources": ["odd"]}},
         files={"odd/trian.jsonl": jsonl([colour_row("train", 0)])}),
    Case("two files for one split", DATA, ["several files", "train"], files={"data/echo/train.json": "[]"}),
    Case("empty task", DATA, ["odd", "no rows"], files={"data/odd/train.jsonl": ""}),
    Case("task without training rows", DATA, ["odd", "train"], files={"data/odd/test.jsonl": jsonl([colour_row("test", 9)])}),
    Case("malformed row", DATA, ["odd/train.jsonl:2"], files=row_file({"input": "a", "target": "b"}, b'{"input": "a",\n')),
    Case("row that isn't an object", DATA, ["odd/train.jsonl:1", "object"], files=row_file([1, 2])),
    Case("bad UTF-8", DATA, ["odd/train.jsonl:1", "UTF-8"], files=row_file(b'{"input": "\xff\xfe", "target": "b"}\n')),
    Case("row of no format", DATA, ["odd/train.jsonl:1", "fits no format", "did you mean `instruction`"],
         files=row_file({"instructoin": "a", "output": "b"})),
    Case("row of two formats", DATA, ["odd/train.jsonl:1", "more than one format", "promptcblue", "completion", "format:"],
         files=row_file({"input": "a", "target": "b", "prompt": "a", "completion": "b"})),
    Case("answer of a wrong type", DATA, ["odd/train.jsonl:1", "target", "string"], files=row_file({"input": "a", "target": 5})),
    Case("unknown role", DATA, ["odd/train.jsonl:1", "role"],
         files=row_file({"messages": [{"role": "usr", "content": "a"}, {"role": "assistant", "content": "b"}]})),
    Case("conversation without an answer", DATA, ["odd/train.jsonl:1", "assistant"],
         files=row_file({"messages": [{"role": "user", "content": "a"}]})),
    Case("name that can't be a task's", DATA, ["odd/train.jsonl:1", "task"],
         files=row_file({"input": "a", "target": "b", "task": "../up"})),
    Case("too many malformed rows", DATA, ["odd/train.jsonl", "max_bad"], config={"data": {"skip_bad": True, "max_bad": 1}},
         files=row_file(b"{\n", b"{\n", {"input": "a", "target": "b"})),
    Case("answer longer than the limit", DATA, ["odd/train.jsonl:1", "answer", "100"], files=row_file({"input": "a", "target": LONG})),
    Case("prompt too long", DATA, ["odd/train.jsonl:1", "prompt is too long", "98", "overflow"], files=row_file({"input": LONG, "target": "b"})),
    Case("row in train and test", DATA, ["colour", "odd", "test", "train"],
         files={**row_file({"input": "the same", "target": "b"}), "data/colour/test.jsonl": jsonl([{"input": "the same", "target": "b"}])}),
    Case("group in train and test", DATA, ["group", "odd"], config={"data": {"group": "patient", "sources": ["data/odd"]}},
         files={**row_file({"input": "a", "target": "b", "patient": 7}),
                "data/odd/test.jsonl": jsonl([{"input": "c", "target": "d", "patient": 7}])}),
    Case("row without its group", DATA, ["data/colour/train.jsonl:1", "patient"], config={"data": {"group": "patient"}}),
    Case("gzip cut short", DATA, ["odd/train.jsonl.gz", "cut short"],
         files={"data/odd/train.jsonl.gz": gzip.compress(jsonl(colour_row("train", i) for i in range(50)).encode())[:-20]}),
    Case("zstd that isn't", DATA, ["odd/train.jsonl.zst", "not zstd data"], files={"data/odd/train.jsonl.zst": jsonl([colour_row("train", 9)])}),
    Case("CSV row of too few fields", DATA, ["odd/train.csv:3", "number of fields"], files={"data/odd/train.csv": "input,target\na,b\nc\n"}),
    Case("Parquet", DATA, ["odd/train.parquet", "Parquet isn't read", "to_json"], files={"data/odd/train.parquet": "PAR1"}),
    Case("unknown entry of dataset_info.json", CONFIG, ["lf/dataset_info.json", "did you mean `medical`"],
         config={"data": {"sources": [{"path": "lf/dataset_info.json#medcal", "split": "train"}]}},
         files={"lf/dataset_info.json": '{"medical": {"file_name": "m.json"}}'}),
    Case("task named as the mean", DATA, ["mean", "task"], files={"data/mean/train.jsonl": jsonl([colour_row("train", 0)])}),
    Case("row beyond the model's context", DATA, ["odd/train.jsonl:1", "context", "129"], files=row_file({"input": LONG, "target": "b"}),
         config={"data": {"max_length": 900}, "train": {"tokens_per_batch": 900}}),
    Case("answers that can't be scored while training", CONFIG, ["tasks.odd.metric", "task_type"], TRAIN,
         files={**row_file({"input": "a", "target": "b"}), "data/odd/dev.jsonl": jsonl([{"input": "c", "target": "b"}])},
         config={"eval": {"generate": True}}),
    Case("inspecting what isn't there", DATA, ["absent", "doesn't exist"], ["data", "inspect", "absent"]),
]

MODELS = [
    Case("missing model", MODEL, ["absent"], config={"model": "./absent"}),
    Case("model that isn't in the cache", MODEL, ["no-such-org/no-such-model"], config={"model": "no-such-org/no-such-model"}),
    Case("no config.json", MODEL, ["config.json"], spoil_model=remove("config.json")),
    Case("broken config.json", MODEL, ["config.json"], spoil_model=write("config.json", '{"model_type": "qwen3"')),
    Case("unknown model_type", MODEL, ["mamba", "qwen3", "llama", "mistral"],
         spoil_model=edit_json("config.json", lambda c: c.update(model_type="mamba"))),
    Case("size missing from config.json", MODEL, ["config.json", "hidden_size"],
         spoil_model=edit_json("config.json", lambda c: c.pop("hidden_size"))),
    Case("size of a wrong type", MODEL, ["config.json", "num_hidden_layers"],
         spoil_model=edit_json("config.json", lambda c: c.update(num_hidden_layers="two"))),
    Case("unknown activation", MODEL, ["hidden_act", "gelu"], spoil_model=edit_json("config.json", lambda c: c.update(hidden_act="gelu"))),
    Case("missing tokenizer", MODEL, ["tokenizer.json"], spoil_model=remove("tokenizer.json")),
    Case("broken tokenizer", MODEL, ["tokenizer.json"], spoil_model=write("tokenizer.json", "{}")),
    Case("chat template that doesn't parse", MODEL, ["template"], spoil_model=write("chat_template.jinja", "{% for m in %}")),
    Case("no chat template at validate", CONFIG, ["template.chat", "no chat template", "model/tokenizer_config.json", "chat: false"],
         spoil_model=remove("chat_template.jinja")),
    Case("no chat template at train", CONFIG, ["template.chat", "no chat template", "chat: false"], TRAIN,
         spoil_model=remove("chat_template.jinja")),
    Case("wrong end token", MODEL, ["generation_config.json", "eos_token_id"],
         spoil_model=edit_json("generation_config.json", lambda c: c.update(eos_token_id="end"))),
    Case("missing weights", MODEL, ["model.safetensors"], TRAIN, spoil_model=remove("model.safetensors")),
    Case("weights cut in their data", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0.6)),
    Case("weights cut in their header", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0.001)),
    Case("empty weights", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0)),
    Case("header longer than the file", MODEL, ["model.safetensors", "header"], TRAIN, spoil_model=lie_about_header),
    Case("tensor that reaches past the end", MODEL, ["model.safetensors", NORM], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(data_offsets=[t["data_offsets"][0], 1 << 40]))),
    Case("tensor of another size than its shape", MODEL, ["model.safetensors", NORM], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(shape=[47]))),
    Case("tensor of another shape than the model's", MODEL, [NORM, "[48]", "[2, 24]"], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(shape=[2, 24]))),
    Case("tensor of an unknown dtype", MODEL, [NORM, "F77"], TRAIN, spoil_model=tensor_edit(NORM, lambda t: t.update(dtype="F77"))),
    Case("missing tensor", MODEL, [NORM], TRAIN,
         spoil_model=edit_weights(lambda header, data: header.update(other=header.pop(NORM)) or data)),
    Case("index that names a missing file", MODEL, ["model-00009.safetensors"], TRAIN,
         spoil_model=lambda model: (remove("model.safetensors")(model), write("model.safetensors.index.json", json.dumps(
             {"weight_map": {NORM: "model-00009.safetensors"}}))(model))),
]

RUNS = [
    Case("evaluating no run", MODEL, ["absent", "no run"], ["eval", "absent"]),
    Case("evaluating an unfinished run", MODEL, ["not finished", "--resume"], ["eval", "out"], files={"out/config.yaml": "model: x\n"}),
    Case("gates of no run", MODEL, ["absent", "no run stands there", "adapter/"], ["gates", "absent"]),
    Case("gates of a directory that is no run", MODEL, ["data", "no run stands there"], ["gates", "data"]),
    Case("gates of a file", MODEL, ["run.yaml", "no run stands there"], ["gates", "run.yaml"]),
    Case("gates of an unfinished run", MODEL, ["not finished", "--resume"], ["gates", "out"], files={"out/config.yaml": "model: x\n"}),
    Case("gates of an adapter instead of its run", MODEL, ["out/adapter", "no run stands there", "the directory that holds it"],
         ["gates", "out/adapter"], needs_run=True),
    Case("gates of a fully trained model", MODEL, ["out", "no adapter", "full"], ["gates", "out"],
         files={"out/config.yaml": "model: x\n", "out/model/config.json": "{}"}),
    Case("unknown task at eval", USAGE, ["color", "did you mean `colour`"], [*EVAL, "--task", "color"], needs_run=True),
    Case("unknown task at export", USAGE, ["color", "did you mean `colour`"], ["export", "out", "--to", "to", "--task", "color"],
         needs_run=True),
    Case("unknown task at generate", USAGE, ["color", "did you mean `colour`"], ["generate", "out", "--task", "color", "--prompt", "x"],
         needs_run=True),
    Case("no prompt", USAGE, ["--prompt"], ["generate", "out", "--task", "colour"], needs_run=True),
    Case("prompt beyond the context", LIMIT, ["128"], ["generate", "out", "--task", "colour", "--prompt", LONG], needs_run=True),
    Case("base with other weights", MODEL, ["base model"], EVAL, needs_run=True, spoil_model=overwrite_tensor(NORM, 0.5)),
    Case("base with another tokenizer", MODEL, ["tokenizer"], EVAL, needs_run=True,
         spoil_model=edit_json("tokenizer.json", lambda t: t.update(truncation=None, padding=None) or t["added_tokens"][-1].update(rstrip=True))),
    Case("base with another template", MODEL, ["template"], EVAL, needs_run=True,
         spoil_model=write("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}")),
    Case("base that lost its template", MODEL, ["template", "found     none"], EVAL, needs_run=True,
         spoil_model=remove("chat_template.jinja")),
    Case("base with another rope", MODEL, ["config.json"], EVAL, needs_run=True,
         spoil_model=edit_json("config.json", lambda c: c.update(rms_norm_eps=0.5))),
    Case("metric of an unknown task", USAGE, ["color", "did you mean `colour`"], ["eval", "out", "--metric", "color=accuracy"], needs_run=True),
    Case("metric without a name", USAGE, ["--metric", "TASK=METRIC"], ["eval", "out", "--metric", "colour"], needs_run=True),
    Case("other data without the run's tasks", DATA, ["test rows", "colour"], ["eval", "out", "--data", "other"], needs_run=True,
         files={"other/blue/test.jsonl": jsonl([colour_row("test", 0)])}),
    Case("resuming a finished run without checkpoints", MODEL, ["finished"], [*TRAIN, "--resume"], needs_run=True,
         prepare=lambda place: [shutil.rmtree(path) for path in (place.path / "out").glob("checkpoint-*")]),
    Case("resuming where no checkpoint can be used", MODEL, ["no checkpoint of the run can be used"], [*TRAIN, "--resume"], needs_run=True,
         prepare=lambda place: [(path / "state.json").unlink() for path in (place.path / "out").glob("checkpoint-*")]),
    Case("memory that isn't there", LIMIT, ["out of memory", "tokens_per_batch"], TRAIN,
         config={"random_init": True, "adapter": {"method": "full"}},
         # embeddings of 64 TiB
         spoil_model=edit_json("config.json", lambda c: c.update(vocab_size=1 << 22, hidden_size=1 << 22))),
    Case("report over another", IO, ["data", "exists already"], [*EVAL, "--to", "data"], needs_run=True),
    Case("export over another", IO, ["to/colour", "exists already"], ["export", "out", "--to", "to"], needs_run=True,
         files={"to/colour/README.md": "mine"}),
    Case("picture over a file", IO, ["run.yaml", "exists already"], ["gates", "out", "--svg", "run.yaml"], needs_run=True),
    Case("damaged adapter", MODEL, ["moelora.safetensors"], ["gates", "out"], needs_run=True,
         prepare=lambda place: flip_byte(place.path / "out/adapter/moelora.safetensors", -9)),
    Case("cut adapter", MODEL, ["moelora.safetensors"], ["gates", "out"], needs_run=True,
         prepare=lambda place: (place.path / "out/adapter/moelora.safetensors").write_bytes(b"short")),
    Case("broken adapter settings", MODEL, ["moelora_config.json"], ["gates", "out"], needs_run=True,
         prepare=lambda place: (place.path / "out/adapter/moelora_config.json").write_text("{")),
    Case("training over a run", IO, ["out", "a run stands there already", "--resume"], TRAIN, needs_run=True),
    Case("resuming no run", USAGE, ["out", "no run to resume"], [*TRAIN, "--resume"]),
    Case("resuming with another seed", CONFIG, ["config has changed"], [*TRAIN, "--resume", "--train.seed=7"], needs_run=True),
    Case("resuming with other data", CONFIG, ["data has changed"], [*TRAIN, "--resume"], needs_run=True,
         files={"data/echo/train.jsonl": jsonl([{"input": "new", "target": "row"}])}),
    Case("a run another process writes", IO, ["out", "another process"], [*TRAIN, "--resume"], needs_run=True, prepare=hold_lock),
    Case("run directory below a file", IO, ["run.yaml"], [*TRAIN, "--output=run.yaml/out"]),
    Case("export below a file", IO, ["run.yaml"], ["export", "out", "--to", "run.yaml"], needs_run=True),
    Case("report below a file", IO, ["run.yaml"], [*EVAL, "--to", "run.yaml/report"], needs_run=True),
    Case("picture in no directory", IO, ["absent"], ["gates", "out", "--svg", "absent/gates.svg"], needs_run=True),
    Case("disk full in training", IO, ["out"], TRAIN, options=small_disk(20_000)),
    Case("disk full at export", IO, ["to"], ["export", "out", "--to", "to"], needs_run=True, options=small_disk(5_000)),
    Case("disk full for a report", IO, ["report"], [*EVAL, "--to", "report"], needs_run=True, options=small_disk(500)),
    Case("loss that isn't finite", NUMERIC, ["step 1", "task `", "train.jsonl:", "not finite"], TRAIN,
         spoil_model=overwrite_tensor(NORM, float("nan"))),
]

GROUPS = {"command line": COMMAND_LINE, "configuration": CONFIGURATION, "rows": ROWS, "models": MODELS, "runs": RUNS, "generation": GENERATION}


def merge(target, changes):
    for key, value in changes.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def make(case, place, finished_run):
    config = place.config()
    if case.spoil_model or "model" in case.arguments:
        shutil.copytree(place.model, place.path / "model")
        config["model"] = "model"
    if case.spoil_model:
        case.spoil_model(place.path / "model")
    if case.needs_run:
        shutil.copytree(finished_run, place.path / "out")
        config["model"] = str(place.model)
    merge(config, case.config)
    place.write_config(config)
    for name, content in case.files.items():
        place.write(name, content)
    if case.prepare:
        case.prepare(place)


def problems_of(case, process):
    found = []
    if process.returncode != case.code:
        found.append(f"exit code {process.returncode}, expected {case.code}")
    found += [f"standard error doesn't say {text!r}" for text in case.says if text not in process.stderr]
    if not process.stderr.startswith("error: ") and "\nerror: " not in process.stderr:
        found.append("no line begins with `error: `")
    if "terminate called" in process.stderr or "internal" in process.stderr:
        found.append("an exception got through")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--show", action="store_true", help="print what each case says")
    options = parser.parse_args()

    failures = count = 0
    with Workplace(options.program, options.fixtures) as origin:
        origin.write_config(origin.config())
        origin.run_well("train", "run.yaml", "--quiet")
        for group, cases in GROUPS.items():
            for case in cases:
                if options.only not in case.name:
                    continue
                count += 1
                with Workplace(options.program, options.fixtures) as place:
                    make(case, place, origin.path / "out")
                    process = place.run(*case.arguments, **case.options)
                    problems = problems_of(case, process)
                    # What fails leaves nothing half-written behind.
                    problems += [f"{path.name} was left behind" for path in place.path.rglob("*.partial*")]
                failures += bool(problems)
                if problems or options.show:
                    print(f"{'FAILED' if problems else 'passed'}  {group}: {case.name}\n  {'; '.join(problems)}\n{process.stderr.strip()}\n")
    print(f"{count - failures} of {count} wrong inputs got their message")
    sys.exit(failures > 0 or count == 0)


if __name__ == "__main__":
    main()
