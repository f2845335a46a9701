#!/usr/bin/env python3
"""A task that a run was not trained on, from 40 labelled rows: what MOELoRA's experts give it with weights that those rows decide, beside the bare base, LoRAHub
and a LoRA of the rows alone. LoRAHub sums the LoRAs of the other tasks and one of these rows, which its share of the steps, a few at most, hardly moves.

    python3 examples/held_out.py icd10                    tasks of real text: event, polarity and normalise; fifteen minutes each on one core
    python3 examples/held_out.py synthetic                sums of skills that the other tasks have: a_b and c_d; again after an interruption
    python3 examples/held_out.py synthetic --seeds 1 2 3  mean ± standard deviation over three trainings of everything

Prints one table: scores on the task's test rows by its own metric. Runs stand in runs/held-out. Standard library only.
"""

import argparse
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent / "build/release/apps/moelora/moelora"
ROWS = 40
ADAPTED = {
    "weights by gradient": ["--search", "gradient"],
    "weights by evolution": ["--search", "evolution"],
    "weights of the nearest task": ["--weights", "nearest"],
    "uniform weights": ["--weights", "uniform"],
}


@dataclass
class Suite:
    config: Path
    data: Path  # <task>/{train,dev,test}.jsonl
    held_out: tuple
    rates: dict  # of each method, as compare.yaml has them
    flags: tuple = ()  # of every training but that of the rows alone
    kept_tasks: bool = True  # whether what the configuration says of single tasks counts here

    @property
    def tasks(self):
        return sorted(folder.name for folder in self.data.iterdir() if folder.is_dir())


SUITES = {
    "icd10": Suite(HERE / "icd10/moelora.yaml", HERE / "icd10/data", ("event", "polarity", "normalise"),
                   {"moelora": 1.25e-3, "lora": 5e-3, "lorahub": 5e-3}, ("--train.epochs=1",)),
    # With all rows of every task: what is asked is whether a gate finds a sum of skills that the experts have.
    "synthetic": Suite(HERE / "synthetic/positive.yaml", HERE / "synthetic/data/positive", ("a_b", "c_d"),
                       {"moelora": 5e-3, "lora": 5e-3, "lorahub": 5e-3}, (), kept_tasks=False),
}


class HeldOut:
    def __init__(self, program, out, suite, task, seed):
        self.program, self.suite, self.task, self.seed, self.out = program, suite, task, seed, out / f"{task}-{seed}"
        self.rows = self.out / "data"
        self.rows.mkdir(parents=True, exist_ok=True)
        lines = (suite.data / task / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:ROWS]
        for split in ("train", "dev"):  # LoRAHub looks at dev rows, which are to be the same few
            (self.rows / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
        shutil.copy(suite.data / task / "test.jsonl", self.rows)

    def call(self, *arguments):
        subprocess.run([self.program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def train(self, name, tasks, *flags):
        run = self.out / name
        if (run / "adapter").exists():
            return run
        sources = [{"path": str(self.rows if task == self.task else self.suite.data / task), "task": task} for task in tasks]
        flags = [f"--adapter.method={name}", f"--train.learning_rate={self.suite.rates[name]}", f"--data.sources={json.dumps(sources)}", *flags]
        resume = ["--resume"] if (run / "config.yaml").exists() else []
        self.call("train", self.config(tasks), f"--output={run}", f"--train.seed={self.seed}", f"--eval.rows={ROWS}", *flags, *resume)
        return run

    def config(self, tasks):
        """The suite's configuration with what it says of those tasks alone: to name a task without rows is an error."""
        kept, of_tasks = [], []
        inside = False
        for line in self.suite.config.read_text(encoding="utf-8").splitlines():
            inside = line.startswith("tasks:") or (inside and line.startswith(" "))
            if not inside:
                kept.append(line)
            elif self.suite.kept_tasks and line.strip().split(":")[0] in tasks:
                of_tasks.append(line)
        if of_tasks:
            kept += ["tasks:", *of_tasks]
        name, value = next(line for line in kept if line.startswith("model:")).split(": ")
        kept = [f"{name}: {(self.suite.config.parent / value).resolve()}" if line.startswith("model:") else line for line in kept]
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
            source = self.out / "rows"  # a directory of tasks, as `moelora eval --data` reads it; training rows say a classification's labels
            shutil.copytree(self.rows, source / self.task, dirs_exist_ok=True)
            self.call("eval", run, "--task", self.task, "--data", source, "--to", report, *flags)
        return json.loads((report / "report.json").read_text(encoding="utf-8"))["mean_score"]

    def scores(self):
        others = [task for task in self.suite.tasks if task != self.task]
        moelora = self.train("moelora", others, *self.suite.flags)
        few = self.train("lora", [self.task], "--train.max_steps=40", "--train.batch_size=16", "--eval.every_steps=40")
        hub = self.train("lorahub", self.suite.tasks, *self.suite.flags)
        first = {"base": self.score(few, "--without-adapter")}
        adapted = {name: self.score(self.adapt(moelora, name, flags)) for name, flags in ADAPTED.items()}
        return {**first, **adapted, "LoRAHub": self.score(hub), "LoRA of the rows": self.score(few)}


def spread(scores):
    return f"{mean(scores):.3f}" + (f" ± {stdev(scores):.3f}" if len(scores) > 1 else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--out", type=Path, default=Path("runs/held-out"))
    arguments = parser.parse_args()
    suite = SUITES[arguments.suite]
    tasks = arguments.tasks or suite.held_out
    for task in tasks:
        if task not in suite.tasks:
            parser.error(f"no task `{task}`; the tasks are {', '.join(suite.tasks)}")
    scores = {task: [HeldOut(arguments.program, arguments.out, suite, task, seed).scores() for seed in arguments.seeds] for task in tasks}
    print("| | " + " | ".join(scores) + " |\n|---|" + "---|" * len(scores))
    for name in next(iter(scores.values()))[0]:
        print(f"| {name} | " + " | ".join(spread([of[name] for of in seeds]) for seeds in scores.values()) + " |")


if __name__ == "__main__":
    main()
