#!/usr/bin/env python3
"""Makes the sweep over the degree of conflict: the conflict suite with 0 to 4 skills of opposite sign in each pair of tasks.

    python3 examples/synthetic/degrees.py
    for k in 0 1 2 3 4; do moelora compare examples/synthetic/degrees/$k/compare.yaml --jobs 2; done

Every method has the rate that compare_conflict.yaml's search chose for it, which is the comparison at two opposed skills: its results serve here as well.
Standard library only, no network, and the same bytes every time.
"""

from pathlib import Path

import build

HERE = Path(__file__).resolve().parent
METHODS = """\
  moelora: {adapter: {method: moelora, gate: {normalise: mean_one}}, train.learning_rate: 5.0e-3}
  lora, task prompt: {adapter.method: lora_task_prompt, train.learning_rate: 2.5e-3}
  lora per task, r: {adapter.method: lora_per_task, train.learning_rate: 5.0e-3}
  lora: {adapter.method: lora, train.learning_rate: 5.0e-3}
"""


def write_text(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")


def main():
    config = (HERE / "conflict.yaml").read_text(encoding="utf-8").replace("../icd10/base_model", "../../../icd10/base_model")
    for flipped in range(5):
        out = HERE / "degrees" / str(flipped)
        build.write(out / "data" / "conflict", build.conflict_suite(flipped))
        write_text(out / "conflict.yaml", config)
        head = f"config: conflict.yaml\noutput: runs/synthetic-degrees/{flipped}\nresults: ../../results/conflict\nseeds: [1, 2, 3]\nshared: {{train.dtype: bfloat16}}\n"
        write_text(out / "compare.yaml", head + "methods:\n" + METHODS)


if __name__ == "__main__":
    main()
