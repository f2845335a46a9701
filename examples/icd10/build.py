#!/usr/bin/env python3
"""Builds the demo's data: eight tasks, and on demand the exercises that its base model is trained on.

    python3 examples/icd10/build.py --wheel WHEEL [--out DIR]              the tasks: DIR/<task>/{train,dev,test}.jsonl
    python3 examples/icd10/build.py --wheel WHEEL --more-events DIR        3,400 more training rows of event: DIR/event/train.jsonl
    python3 examples/icd10/build.py --wheel WHEEL --base DIR [--rows N]    the base's exercises: DIR/<stage>/{exercises,text}/{train,dev}.jsonl

WHEEL is simple_icd_10_cm-1.5.0-py3-none-any.whl, as `pip download --no-deps simple-icd-10-cm==1.5.0` leaves it.
Standard library only, no network, and the same bytes every time. README.md says what is built and why.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import base_exercises
import choice_tasks
import structure_tasks
import tabular
import text_tasks
from titles import TitleReader

LIMITS = {"train": 1600, "dev": 200, "test": 1000}
# Short rows whose answers are one label: more of them to learn from.
LABEL_LIMITS = {"train": 3000, "dev": 200, "test": 1000}
MORE_EVENTS = 3400  # 5,000 with the others
TASK_TYPES = {
    "normalise": "set",
    "chapter": "label",
    "criterion": "label",
    "relation": "triples",
    "event": "events",
    "polarity": "pairs",
    "report": "text",
    "dialogue": "text",
}


def make_row(task, code, text, target, source, choices=None):
    return {
        "input": text,
        "target": target,
        "answer_choices": choices,
        "task_type": TASK_TYPES[task],
        "task_dataset": task,
        "sample_id": f"{task}-{code.name}",
        "group": code.category,
        "source": source,
    }


def build_tasks(listing, reader, inputs):
    """{task: {set: rows}}; `inputs` comes to hold those of the phrased tasks."""
    tasks = {task: {} for task in TASK_TYPES}
    for where, limit in LIMITS.items():
        built = structure_tasks.build(listing, reader, where, limit, make_row, inputs)
        for task, make in (
            ("normalise", choice_tasks.normalise),
            ("chapter", choice_tasks.chapter),
            ("criterion", choice_tasks.criterion),
            ("report", text_tasks.report),
            ("dialogue", text_tasks.dialogue),
        ):
            built[task] = make(listing, where, LABEL_LIMITS[where] if TASK_TYPES[task] == "label" else limit, make_row)
        for task, rows in built.items():
            number_ids(rows)
            tasks[task][where] = rows
    return tasks


def number_ids(rows, earlier=()):
    """Makes sample ids unique: a code's rows are counted, after those of `earlier`."""
    count = Counter(row["sample_id"].rpartition("-")[0] for row in earlier)
    for row in rows:
        count[row["sample_id"]] += 1
        row["sample_id"] += f"-{count[row['sample_id']]}"


def build_more_events(listing, reader):
    inputs = set()
    events = build_tasks(listing, reader, inputs)["event"]["train"]
    rows = structure_tasks.more_events(listing, reader, MORE_EVENTS, make_row, inputs)
    number_ids(rows, events)
    return rows


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    what.add_argument("--more-events", type=Path, help="write more training rows of event here instead of the tasks")
    what.add_argument("--base", type=Path, help="write the base's exercises here instead of the tasks")
    parser.add_argument("--rows", type=int, help="how many exercises of each stage to write, instead of all")
    arguments = parser.parse_args()
    listing = tabular.read(arguments.wheel)
    if arguments.base:
        for stage in base_exercises.STAGES:
            for name, rows in base_exercises.build(listing, stage, arguments.rows).items():
                write(arguments.base / stage / f"{name}.jsonl", rows)
        return
    reader = TitleReader(code.title for code in listing.codes)
    if arguments.more_events:
        write(arguments.more_events / "event/train.jsonl", build_more_events(listing, reader))
        return
    for task, sets in build_tasks(listing, reader, set()).items():
        for where, rows in sets.items():
            write(arguments.out / task / f"{where}.jsonl", rows)


if __name__ == "__main__":
    main()
