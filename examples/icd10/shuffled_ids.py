#!/usr/bin/env python3
"""Makes the control of shuffled task ids: what MOELoRA gains from a gate that is told the task must vanish where it is told something else.

    python3 examples/icd10/shuffled_ids.py
    moelora compare examples/icd10/shuffled_ids/compare.yaml --jobs 2

Every task's rows are dealt at random to eight parts, which stand as tasks of their own (`chapter_0` ... `chapter_7`), and groups of tasks are what an adapter
is told: one method is told the task (`chapter_3` belongs to group `chapter`), the other the number of the part (to group `part_3`), which says nothing. Rows,
prompts and metrics are the same. Standard library only, no network, and the same bytes every time.
"""

import argparse
import json
from pathlib import Path

from draws import Draws

HERE = Path(__file__).resolve().parent
PARTS = 8
METRICS = {"dialogue": "rouge_l, micro_f1_set", "report": "rouge_l, f1_changed_words(source=Under:; unit=word)"}
SPLITS = ("train", "dev", "test")


def parts_of(lines, *key):
    """The lines in PARTS parts, dealt at random."""
    dealt = Draws(*key).shuffled(lines)
    return [dealt[part::PARTS] for part in range(PARTS)]


def write_data(out, tasks):
    for task in tasks:
        for split in SPLITS:
            lines = (HERE / "data" / task / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            for part, dealt in enumerate(parts_of(lines, "shuffled ids", task, split)):
                folder = out / "data" / f"{task}_{part}"
                folder.mkdir(parents=True, exist_ok=True)
                rows = [{**json.loads(line), "task_dataset": folder.name} for line in dealt]
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                (folder / f"{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def groups(tasks, name_of):
    return {f"tasks.{task}_{part}.group": name_of(task, part) for task in tasks for part in range(PARTS)}


def write_config(out, tasks):
    """moelora.yaml with this data, and fewer dev rows of each of the many tasks. YAML takes JSON as it is."""
    lines = (HERE / "moelora.yaml").read_text(encoding="utf-8").splitlines()
    kept, skipping = [], False
    for line in lines:
        if line and not line.startswith(" "):
            skipping = line.startswith("tasks:")
        if not skipping:
            kept.append(line.replace("model: base_model", "model: ../base_model").replace("rows: 40,", "rows: 5,"))
    named = {f"{task}_{part}": {"metric": metric} for task, metric in METRICS.items() for part in range(PARTS)}
    (out / "moelora.yaml").write_text("\n".join([*kept, f"tasks: {json.dumps(named)}"]) + "\n", encoding="utf-8", newline="\n")
    gate = {"adapter.method": "moelora", "adapter.gate.normalise": "mean_one", "train.learning_rate": 1.25e-3}
    methods = {
        "moelora": {**gate, **groups(tasks, lambda task, part: task)},
        "moelora, shuffled ids": {**gate, **groups(tasks, lambda task, part: f"part_{part}")},
        "lora": {"adapter.method": "lora", "train.learning_rate": 5e-3},
    }
    spec = ["config: moelora.yaml", "output: runs/icd10-shuffled-ids", "results: ../results", "seeds: [1, 2, 3]", "shared: {train.epochs: 1, train.dtype: bfloat16}", "methods:"]
    spec += [f"  {name}: {json.dumps(changes)}" for name, changes in methods.items()]
    (out / "compare.yaml").write_text("\n".join(spec) + "\n", encoding="utf-8", newline="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    tasks = sorted(folder.name for folder in (HERE / "data").iterdir() if folder.is_dir())
    out = HERE / "shuffled_ids"
    write_data(out, tasks)
    write_config(out, tasks)


if __name__ == "__main__":
    main()
