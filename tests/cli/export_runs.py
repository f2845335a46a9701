"""Finished runs for the checks of exports: over a small random model, and over the demo's."""
import json
import pathlib

from workplace import jsonl

TASKS = ["colour", "count", "echo"]
SYSTEM = "Answer | briefly."
ICD10 = pathlib.Path(__file__).resolve().parents[2] / "examples/icd10"
DEMO_TASKS = ["chapter", "event", "report"]


def write_count_rows(place):
    """A third task beside the workplace's."""
    for split, count in {"train": 24, "dev": 6}.items():
        place.write(f"data/count/{split}.jsonl", jsonl({"input": f"{split}: how many {'a' * (i % 7)}?", "target": str(i % 7),
                                                        "task_type": "text", "license": "CC0-1.0"} for i in range(count)))


def make_run(place, name="run", *, adapter=None, **options):
    """Eight steps on the rows of place.model's three tasks. `adapter` adds to that section, `options` replaces whole ones."""
    if not (place.path / "data/count").exists():
        write_count_rows(place)
    config = place.config()
    config["output"] = name
    config["template"] = {"system": SYSTEM}
    config["adapter"].update({"rank": 6, "experts": 2, **(adapter or {})})
    config["train"].update({"max_steps": 8, "batch_size": 8, "tokens_per_batch": 200, "learning_rate": 0.02})
    config.update(options)
    place.write_config(config, f"{name}.yaml")
    place.run_well("train", f"{name}.yaml", "--quiet")
    return place.path / name


def make_demo_run(place):
    """A few steps on three of the demo's tasks, over its bundled base, which is in bfloat16 on the disk. Test prompts by task."""
    config = {"model": str(ICD10 / "base_model"), "output": "run",
              "data": {"sources": [{"path": str(ICD10 / f"data/{task}/train.jsonl"), "split": "train"} for task in DEMO_TASKS],
                       "max_length": 600},
              "tasks": {task: {"max_rows": 32} for task in DEMO_TASKS},
              "adapter": {"rank": 6, "experts": 2},
              "train": {"threads": 1, "dtype": "float32", "max_steps": 6, "batch_size": 8, "learning_rate": 0.005}}
    place.write_config(config)
    place.run_well("train", "run.yaml", "--quiet")
    prompts = {}
    for task in DEMO_TASKS:
        rows = (ICD10 / f"data/{task}/test.jsonl").read_text().splitlines()
        prompts[task] = [json.loads(row)["input"] for row in rows[:20]]
    return prompts
