#!/usr/bin/env python3
"""Makes the control of swapped gates: every task's rows answered with every task's gate, the experts being the same.

    python3 examples/icd10/swapped_gates.py RUN            of method moelora; some five minutes on one core

Prints scores on 250 test rows a task by the task's own metric: a row of the table is a task, a column whose gate it was given. Standard library only.
"""

import argparse
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent.parent / "build/release/apps/moelora/moelora"
TASKS = ("chapter", "criterion", "dialogue", "event", "normalise", "polarity", "relation", "report")
METRICS = {"dialogue": "rouge_l", "report": "rouge_l"}  # other tasks' rows say theirs
GUEST = "guest"  # the name under which rows of one task are given another's gate


def rows_of(task, out):
    """The task's test rows under the guest's name, as a directory of tasks."""
    folder = out / "rows" / task
    (folder / GUEST).mkdir(parents=True, exist_ok=True)
    lines = (HERE / "data" / task / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.dumps({**json.loads(line), "task_dataset": GUEST}, ensure_ascii=False) + "\n" for line in lines]
    (folder / GUEST / "test.jsonl").write_text("".join(rows), encoding="utf-8", newline="\n")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--out", type=Path, default=Path("runs/swapped-gates"))
    arguments = parser.parse_args()

    def call(*words):
        subprocess.run([arguments.program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)

    rows = {task: rows_of(task, arguments.out) for task in TASKS}
    of_run = arguments.out / arguments.run.resolve().name
    print("| | " + " | ".join(TASKS) + " |\n|---|" + "---|" * len(TASKS))
    for task in TASKS:
        scores = []
        for gate in TASKS:
            run, report = of_run / f"gate-{gate}", of_run / "scores" / f"{task}-{gate}"
            if not run.exists():
                call("adapt", arguments.run, "--task", GUEST, "--weights", gate, "--to", run)
            if not report.exists():
                metric = ["--metric", f"{GUEST}={METRICS[task]}"] if task in METRICS else []
                call("eval", run, "--task", GUEST, "--data", rows[task], "--rows", 250, "--to", report, *metric)
            score = json.loads((report / "report.json").read_text(encoding="utf-8"))["mean_score"]
            scores.append(f"**{score:.3f}**" if gate == task else f"{score:.3f}")
        print(f"| {task} | " + " | ".join(scores) + " |", flush=True)


if __name__ == "__main__":
    main()
