"""Wrong command lines and configurations, for errors.py."""
from error_case import CONFIG, TRAIN, USAGE, Case
from workplace import colour_row, jsonl


def raw(text):
    return {"run.yaml": text}


COMMAND_LINE = [
    Case("unknown verb", USAGE, ["unknown verb `trian`", "did you mean `train`"], ["trian", "run.yaml"]),
    Case("no verb", USAGE, ["--help"], []),
    Case("unknown flag of train", USAGE, ["unknown argument `--resum`", "`--resume`"], [*TRAIN, "--resum"]),
    Case("unknown flag of eval", USAGE, ["unknown argument `--tsak`", "did you mean `--task`"], ["eval", "out", "--tsak", "colour"]),
    Case("flag without its value", USAGE, ["--train.seed"], [*TRAIN, "--train.seed"]),
    Case("no configuration named", USAGE, ["config"], ["train"]),
    Case("nothing to plan", USAGE, ["plan", "--shape"], ["plan"]),
    Case("a plan of two things", USAGE, ["two things to plan"], ["plan", "run.yaml", "--shape", "tiny"]),
    Case("a plan of an unknown shape", USAGE, ["--shape", "did you mean `qwen2.5-7b`"], ["plan", "--shape", "qwen2.5-7"]),
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
    Case("loop of links", CONFIG, ["loop"], ["validate", "loop"], prepare=lambda place: (place.path / "loop").symlink_to("loop")),
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
