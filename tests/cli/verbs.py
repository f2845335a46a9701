"""What else the program does with runs: new tasks, comparisons, other data, scores in training, and the demo.

  python tests/cli/verbs.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import json
import os
import signal
import subprocess
import time

from checks import require, run_checks
from small_runs import INTERRUPTED, config_of, metrics, train
from workplace import colour_row, echo_row, jsonl


def check_adapt(place, _):
    """A task the run doesn't know: searched, declared, evaluated, exported, and trained on from."""
    train(place, "known")
    place.write("few.jsonl", "".join((place.path / "data/colour/train.jsonl").read_text().splitlines(keepends=True)[:4]))
    for search in ("gradient", "evolution"):
        out = place.run_well("adapt", "known", "--task", "fresh", "--data", "few.jsonl", "--search", search, "--steps", "8", "--to", search)
        losses = json.loads((place.path / search / "adapt.json").read_text())
        require(losses["loss"] <= min(losses["losses"].values()) and "expert" in out, f"adapt: {search} is no worse than any known task")
        content = json.loads(place.run_well("gates", search, "--json"))
        require(content["tasks"] == ["colour", "echo", "fresh"], "adapt: the run has one task more")
    place.run_well("adapt", "known", "--task", "fresh", "--weights", "0.9,0.1", "--to", "declared")
    weights_of_fresh = json.loads(place.run_well("gates", "declared", "--json"))["gates"][0]["weights"][2]
    require(abs(weights_of_fresh[0] - 0.9) < 1e-4, f"adapt: declared weights are the gate's: {weights_of_fresh}")
    place.run_well("adapt", "known/", "--task", "fresh", "--weights", "uniform")
    require((place.path / "known-fresh/adapter").is_dir(), "adapt: without --to the new run stands beside the run")
    subprocess.run(place.command("adapt", ".", "--task", "newer", "--weights", "uniform"), cwd=place.path / "known", env=place.environment(), check=True,
                   stdout=subprocess.DEVNULL)
    require((place.path / "known-newer/adapter").is_dir(), "adapt: beside it by its own name, from within too")
    place.run_well("eval", "gradient", "--task", "colour", "--quiet")
    place.run_well("generate", "gradient", "--task", "fresh", "--prompt", "what colour?")
    place.run_well("export", "gradient", "--to", "gradient-peft", "--task", "fresh")
    place.write("data/fresh/train.jsonl", (place.path / "few.jsonl").read_text())
    train(place, "further", "--adapter.start=gradient")
    process = place.run("adapt", "known", "--task", "fresh", "--to", "nothing")
    require(process.returncode == 2 and "--weights uniform" in process.stderr, f"adapt: never a default: {process.stderr}")


def check_compare(place, _):
    """Two methods, two seeds, a grid: interrupted, gone on with, and known the second time."""
    place.write_config(config_of(place, "unused"), "shared.yaml")
    place.write("compare.yaml", "config: shared.yaml\noutput: compared\nseeds: [1, 2]\nlearning_rates: [0.01, 0.02]\nresamples: 200\n"
                                "methods: {moelora: {adapter.method: moelora}, lora: {adapter.method: lora}}\n")
    process = subprocess.Popen(place.command("compare", "compare.yaml", "--quiet"), cwd=place.path, env=place.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(place.path.glob("compared/results/*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    require(process.returncode in (0, INTERRUPTED), f"compare: stopped with {process.returncode}")
    out = place.run_well("compare", "compare.yaml", "--quiet")
    require("| **mean** |" in out and "p (Holm)" in out and "Learning rates" in out, f"compare: the table: {out}")
    require("0 runs computed" in place.run_well("compare", "compare.yaml", "--quiet"), "compare: nothing is done twice")
    if len(os.sched_getaffinity(0)) > 1:  # on one core there is nothing to divide
        known = {file.name for file in place.path.glob("compared/results/*.json")}
        (place.path / "compared").rename(place.path / "compared-alone")
        place.run_well("compare", "compare.yaml", "--quiet", "--jobs", "2")
        require({file.name for file in place.path.glob("compared/results/*.json")} == known, "compare: two processes do what one does")
        require("runs computed" in (place.path / "compared/job-2.log").read_text(), "compare: the second process saw it through")
    page = (place.path / "compared/report.html").read_text()
    require("<svg" in page and "http-equiv" in page and "<script" not in page and "src=" not in page, "compare: a page without a network")
    require(len(list(place.path.glob("compared/results/*.json"))) == 6, "compare: two rates and one more seed a method")


def check_failing_job(place, _):
    """A second process that fails is reported when the first has done its work, by its log and with its exit code."""
    if len(os.sched_getaffinity(0)) < 2:
        print("one core: there is no second process to fail", end=" ")
        return
    place.write_config(config_of(place, "unused"), "shared.yaml")
    spec = (f"config: {place.path}/shared.yaml\noutput: compared\nseeds: [1]\nresamples: 200\n"
            "methods: {moelora: {adapter.method: moelora}}\n")
    # The second process' standard input is empty, and so is the spec that it reads there.
    process = place.run("compare", "/dev/stdin", "--quiet", "--jobs", "2", input=spec, stdin=None)
    require(process.returncode == 3, f"failing job: the exit code is the job's: {process.returncode} {process.stderr}")
    require("compared/job-2.log" in process.stderr and "exit code 3" in process.stderr, f"failing job: {process.stderr}")
    require("1 runs computed" in process.stdout and (place.path / "compared/report.md").exists(), "failing job: the report is made")


def check_other_data(place, _):
    """A run is scored on all rows of its own tasks, whatever has come to the data since, and on other data."""
    run = train(place, "scored", "--eval.rows=2")
    place.write("data/new/test.jsonl", jsonl([colour_row("test", 99)]))
    process = place.run("eval", "scored", "--json", "--quiet")
    require(process.returncode == 0, process.stderr)
    require("wasn't trained on them: new" in process.stderr, f"the new task is named: {process.stderr}")
    report = json.loads(process.stdout)
    require(sorted(task["task"] for task in report["tasks"]) == ["colour", "echo"], "the run's tasks are scored")
    require(all(task["rows"] == 6 for task in report["tasks"]), "eval.rows is for training: all test rows are scored")
    place.write("elsewhere/echo/test.jsonl", jsonl([{"input": "a", "target": "b"}, {"input": "c", "target": "d"}]))
    other = json.loads(place.run_well("eval", "scored", "--data", "elsewhere", "--metric", "echo=exact_match", "--json", "--quiet"))
    require([(task["task"], task["metric"], task["rows"]) for task in other["tasks"]] == [("echo", "exact_match", 2)], f"other data: {other}")
    exported = place.run_well("export", "scored", "--to", "twice", "--task", "echo", "--task", "echo")
    require(exported.split() == ["twice/echo"], f"a task that is named twice is exported once: {exported}")
    process = place.run("eval", "absent", "--to", "x/y/report")
    require(process.returncode == 5 and not (place.path / "x").exists(), "what fails makes no directory")
    require(run.is_dir(), "the run is left alone")


def check_demo(place, _):
    """Small assets: kept records are those of the rows asked for and of the same configuration."""
    for split, count in {"train": 24, "dev": 6, "test": 6}.items():
        place.write(f"data/report/{split}.jsonl", jsonl({**echo_row(split, i), "input": f"{split} report {i}"} for i in range(count)))
    for method in ("lora", "moelora"):
        config = config_of(place, "unused", method=method)
        config["tasks"] = {"report": {"metric": "rouge_l, exact_match"}}
        place.write_config(config, f"{method}.yaml")
    place.write("trivial.json", json.dumps({task: {"majority": 0, "rule": 0, "bayes": 0} for task in ("colour", "echo", "report")}))

    def demo(*flags):
        place.run_well("demo", "--assets", ".", "--output", "demo", "--quiet", *flags)
        return json.loads((place.path / "demo/summary.json").read_text())

    few, again, every = demo("--rows", "2"), demo("--rows", "2"), demo("--rows", "0")
    require(few == again, "what is done is kept")
    require({task["rows"] for task in few["tasks"].values()} == {2}, f"as many rows as asked for: {few}")
    require({task["rows"] for task in every["tasks"].values()} == {6}, f"all rows where all are asked for: {every}")
    require(set(few["tasks"]["report"]["further"]["exact_match"]) == {"base", "lora", "moelora"}, "the second metric is reported")
    require(all(few["seconds"][f"train {method}"] > 0 for method in ("lora", "moelora")) and few["seconds"]["export"] > 0, "phases are timed")
    place.write("data/report/train.jsonl", jsonl([{"input": "other", "target": "row", "task_type": "report_generation"}]))
    process = place.run("demo", "--assets", ".", "--output", "demo", "--quiet")
    require(process.returncode == 3 and "--output" in process.stderr, f"other data: {process.returncode} {process.stderr}")


def check_generated_scores(place, _):
    """eval.generate: scores of dev answers in the metrics, the best checkpoint by them."""
    run = train(place, "scored", "--eval.generate=true", "--eval.best=colour", "--eval.rows=3")
    last = metrics(run)[-1]["eval"]
    require(all("score" in last[name] and "loss" in last[name] for name in ("colour", "echo", "mean")), "scores stand beside the losses")


if __name__ == "__main__":
    run_checks(__doc__, {"adapt": check_adapt, "compare": check_compare, "failing job": check_failing_job, "other data": check_other_data, "demo": check_demo,
                         "generated scores": check_generated_scores})
