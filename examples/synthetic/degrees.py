#!/usr/bin/env python3
"""Makes the sweep over the degree of conflict: the conflict suite with 0 to 4 skills of opposite sign in each pair of tasks.

    python3 examples/synthetic/degrees.py
    for k in 0 1 2 3 4; do moelora compare examples/synthetic/degrees/$k/compare.yaml --jobs 2; done

Every method has the learning rates of compare_conflict.yaml to choose from. Standard library only, no network, and the same bytes every time.
"""

from pathlib import Path

import build

HERE = Path(__file__).resolve().parent
METHODS = """\
  moelora: {adapter: {method: moelora, gate: {normalise: mean_one}}}
  lora, task prompt: {adapter.method: lora_task_prompt}
  lora per task, r: {adapter.method: lora_per_task}
  lora: {adapter.method: lora}
"""


def write_text(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")


def main():
    config = (HERE / "conflict.yaml").read_text(encoding="utf-8").replace("../icd10/base_model", "../../../icd10/base_model")
    comparison = (HERE / "compare_conflict.yaml").read_text(encoding="utf-8")
    rates = next(line for line in comparison.splitlines() if line.startswith("learning_rates:"))
    for flipped in range(5):
        out = HERE / "degrees" / str(flipped)
        build.write(out / "data" / "conflict", build.conflict_suite(flipped))
        write_text(out / "conflict.yaml", config)
        head = f"config: conflict.yaml\noutput: runs/synthetic-degrees/{flipped}\nresults: ../../results/degrees\nseeds: [1, 2, 3]\n"
        write_text(out / "compare.yaml", head + f"{rates}\nmethods:\n" + METHODS)


if __name__ == "__main__":
    main()
