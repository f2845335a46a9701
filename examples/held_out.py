#!/usr/bin/env python3
"""A task that a run was not trained on, from 40 labelled rows: what MOELoRA's experts give it with weights that those rows decide, beside the bare base, LoRAHub
and a LoRA of the rows alone. LoRAHub sums the LoRAs of the seven other tasks and one of these rows, which its share of the steps, one or two, hardly moves.

    python3 examples/icd10/held_out.py [TASK ...]         event, polarity and normalise, some fifteen minutes each on one core; again after an interruption

Prints one table: scores on the task's 1,000 test rows by its own metric. Runs stand in runs/held-out. Standard library only.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent.parent / "build/release/apps/moelora/moelora"
TASKS = ("chapter", "criterion", "dialogue", "event", "normalise", "polarity", "relation", "report")
ROWS = 40  # as many as moelora.yaml's `eval.rows` takes for LoRAHub's search
ADAPTED = {
    "weights by gradient": ["--search", "gradient"],
    "weights by evolution": ["--search", "evolution"],
    "weights of the nearest task": ["--weights", "nearest"],
    "uniform weights": ["--weights", "uniform"],
}


class HeldOut:
    def __init__(self, program, out, task):
        self.program, self.task, self.out = program, task, out / task
        self.rows = self.out / "data"
        self.rows.mkdir(parents=True, exist_ok=True)
        lines = (HERE / "data" / task / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:ROWS]
        for split in ("train", "dev"):  # LoRAHub looks at dev rows, which are to be the same few
            (self.rows / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
        shutil.copy(HERE / "data" / task / "test.jsonl", self.rows)

    def call(self, *arguments):
        subprocess.run([self.program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def train(self, name, method, rate, tasks, *flags):
        run = self.out / name
        if (run / "adapter").exists():
            return run
        sources = [{"path": str(self.rows if task == self.task else HERE / "data" / task), "task": task} for task in tasks]
        flags = [f"--adapter.method={method}", f"--train.learning_rate={rate}", f"--data.sources={json.dumps(sources)}", *flags]
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        self.call("train", self.config(tasks), f"--output={run}", *flags, *resume)
        return run

    def config(self, tasks):
        """moelora.yaml with what it says of those tasks alone: to name a task without rows is an error."""
        text = (HERE / "moelora.yaml").read_text(encoding="utf-8").replace("model: base_model", f"model: {HERE / 'base_model'}")
        kept = [line for line in text.splitlines() if not any(line.startswith(f"  {task}:") for task in TASKS if task not in tasks)]
        if not any(line.startswith(f"  {task}:") for line in kept for task in TASKS):
            kept = [line for line in kept if line != "tasks:"]
        path = self.out / f"{len(tasks)}-tasks.yaml"
        path.write_text("\n".join(kept) + "\n", encoding="utf-8", newline="\n")
        return path

    def adapt(self, run, name, flags):
        to = self.out / name.replace(" ", "-")
        if not to.exists():
            self.call("adapt", run, "--task", self.task, "--data", self.rows / "train.jsonl", *flags, "--to", to)
        return to

    def score(self, run, *flags):
        report = self.out / "scores" / (run.name + "".join(flags))
        if not report.exists():
            source = self.out / "rows"  # a directory of tasks, as `moelora eval --data` reads it
            (source / self.task).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.rows / "test.jsonl", source / self.task)
            self.call("eval", run, "--task", self.task, "--data", source, "--to", report, *flags)
        return json.loads((report / "report.json").read_text(encoding="utf-8"))["mean_score"]

    def scores(self):
        others = [task for task in TASKS if task != self.task]
        moelora = self.train("moelora", "moelora", 1.25e-3, others, "--train.epochs=1")
        few = self.train("lora", "lora", 5e-3, [self.task], "--train.max_steps=40", "--train.batch_size=16", "--eval.every_steps=40")
        hub = self.train("lorahub", "lorahub", 5e-3, TASKS, "--train.epochs=1")
        first = {"base": self.score(few, "--without-adapter")}
        adapted = {name: self.score(self.adapt(moelora, name, flags)) for name, flags in ADAPTED.items()}
        return {**first, **adapted, "LoRAHub": self.score(hub), "LoRA of the rows": self.score(few)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=["event", "polarity", "normalise"])
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--out", type=Path, default=Path("runs/held-out"))
    arguments = parser.parse_args()
    for task in arguments.tasks:
        if task not in TASKS:
            parser.error(f"no task `{task}`; the tasks are {', '.join(TASKS)}")
    scores = {task: HeldOut(arguments.program, arguments.out, task).scores() for task in arguments.tasks}
    print("| | " + " | ".join(scores) + " |\n|---|" + "---|" * len(scores))
    for name in next(iter(scores.values())):
        print(f"| {name} | " + " | ".join(f"{of[name]:.3f}" for of in scores.values()) + " |")


if __name__ == "__main__":
    main()
