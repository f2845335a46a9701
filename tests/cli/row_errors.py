"""Wrong rows and files of rows, for errors.py."""
import gzip
import json

from error_case import CONFIG, DATA, LONG, TRAIN, Case
from workplace import colour_row, jsonl


def row_file(*rows):
    """data/ with one more task `odd`, whose training rows these are."""
    return {"data/odd/train.jsonl": b"".join(r if isinstance(r, bytes) else (json.dumps(r) + "\n").encode() for r in rows)}


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
