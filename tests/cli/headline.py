"""The headline's comparison in small: all methods of examples/icd10/compare.yaml on the real tasks and base, cut in the middle, gone on with and reported;
and the whole one as docs/experiments.md has it.

  python tests/cli/headline.py --program PATH --fixtures FOLDER
"""
import json
import pathlib
import signal
import subprocess
import time

from checks import require, run_checks
from small_runs import INTERRUPTED

SPEC = pathlib.Path(__file__).resolve().parents[2] / "examples/icd10/compare.yaml"
CODE = "92de1b27"  # of the sources that made the headline's results
METHODS = ["moelora", "moelora, weights of sum 1", "moelora, a gate per layer", "without gate", "token gate", "lora", "lora, task prompt",
           "lora per task, r", "lora per task, r / T", "lorahub", "task arithmetic", "full"]
TASKS = ["chapter", "criterion", "dialogue", "event", "normalise", "polarity", "relation", "report"]
QUICK = ["--seeds=1", "--test_rows=4", "--output=quick", "--results=quick/results", "--shared.train.max_steps=8", "--shared.train.batch_size=8",
         "--shared.train.threads=1", "--shared.eval.rows=1", "--shared.eval.max_new_tokens=8", "--shared.adapter.search_steps=2"]


def results(place):
    return {path.name: path.stat().st_mtime_ns for path in place.path.glob("quick/results/*.json")}


def check_quick_form(place, _):
    command = place.command("compare", SPEC, "--quiet", *QUICK)
    process = subprocess.Popen(command, cwd=place.path, env=place.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(results(place)) < len(METHODS) // 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=180)
    require(process.returncode == INTERRUPTED, f"cut in the middle: exit code {process.returncode}: {message}")
    before = results(place)
    require(len(METHODS) // 2 <= len(before) < len(METHODS), f"{len(before)} results when it was cut")

    out = place.run_well("compare", SPEC, "--quiet", *QUICK, timeout=600)
    after = results(place)
    require(len(after) == len(METHODS), f"a result a method, not {len(after)}")
    require(before.items() <= after.items(), "what had a result isn't run again")
    require(f"{len(METHODS) - len(before)} runs computed, {len(before)} known" in out, f"nothing is computed twice: {out}")
    lines = out.splitlines()
    require("| task | metric | " + " | ".join(METHODS) + " |" in lines, f"all methods stand in the table: {out}")
    require([line.split(" | ")[0] for line in lines[lines.index(next(line for line in lines if line.startswith("| chapter"))):][:len(TASKS)]]
            == [f"| {task}" for task in TASKS], f"all tasks stand in the table: {out}")

    report = (place.path / "quick/report.md").read_bytes()
    page = json.loads((place.path / "quick/report.json").read_text())
    require([variant["name"] for variant in page["variants"]] == METHODS and page["missing"] == 0, "all methods stand in the JSON")
    again = place.run_well("compare", SPEC, "--report-only", *QUICK)
    require(again.splitlines()[:-1] == lines[:-1] and "0 runs computed" in again, f"a report alone prints the same: {again}")
    require((place.path / "quick/report.md").read_bytes() == report and results(place) == after, "and leaves the same")


def check_documented(place, _):
    """The documented headline is what the committed results give: every paragraph and table of their report."""
    place.run_well("compare", SPEC, "--report-only", "--code", CODE, "--output=headline", timeout=300)
    docs = (SPEC.parents[2] / "docs/experiments.md").read_text()
    blocks = [block for block in (place.path / "headline/report.md").read_text().strip().split("\n\n") if not block.startswith("#")]
    require(len(blocks) >= 9, f"scores, differences, losses, two grids and what they are: {len(blocks)} blocks")
    for block in blocks:
        require(block in docs, f"docs/experiments.md hasn't what the report says: {block}")
    require(json.loads((place.path / "headline/report.json").read_text())["seeds"] == [1, 2, 3, 4, 5], "five seeds")


if __name__ == "__main__":
    run_checks(__doc__, {"quick form": check_quick_form, "documented": check_documented})
