"""The main job from outside: train, evaluate, look at the gates, export, load in PEFT, generate; the same again bit for bit,
however often the process is killed in between.

  python tests/cli/end_to_end.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
import xml.etree.ElementTree

from workplace import Workplace, colour_row, echo_row, jsonl

INTERRUPTED = 75


def require(condition, message):
    if not condition:
        raise AssertionError(message)


def config_of(place, output, **adapter):
    """Several micro-batches a step, dropout, tasks drawn at temperature 2."""
    config = place.config()
    config["output"] = output
    config["data"]["max_length"] = 60
    config["adapter"].update({"dropout": 0.1, **adapter})
    config["train"].update({"max_steps": 8, "batch_size": 8, "tokens_per_batch": 110, "temperature": 2, "learning_rate": 0.01,
                            "log_every": 1})
    config["eval"].update({"every_steps": 4, "max_new_tokens": 6})
    config["checkpoint"] = {"every_steps": 2}
    return config


def metrics(run):
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("time", None)
    return lines


def train(place, name, *flags, **adapter):
    place.write_config(config_of(place, name, **adapter), f"{name}.yaml")
    place.run_well("train", f"{name}.yaml", "--quiet", *flags)
    return place.path / name


def check_method(place, name, **adapter):
    """Train, evaluate, gates, export, generate. The exported adapters are in <name>-peft."""
    run = train(place, name, **adapter)
    lines = metrics(run)
    require([line["step"] for line in lines if "train" in line] == list(range(1, 9)), f"{name}: a line for every step")
    require([line["step"] for line in lines if "eval" in line] == [4, 8], f"{name}: an evaluation every 4 steps")
    require(set(lines[-1]["eval"]) == {"colour", "echo", "mean"}, f"{name}: dev losses of both tasks")
    require(lines[-1]["eval"]["mean"]["loss"] < 5.5, f"{name}: the dev loss fell below that of guessing among 320 tokens (5.77)")

    report = json.loads(place.run_well("eval", name, "--json", "--quiet"))
    require(json.loads((run / "eval-test/report.json").read_text()) == report, f"{name}: the report printed is the one kept")
    rows = [json.loads(line) for line in (run / "eval-test/predictions.jsonl").read_text().splitlines()]
    require(len(rows) == 12, f"{name}: a prediction for every test row")
    require((run / "eval-test/predictions.jsonl").stat().st_mode & 0o777 == 0o600, f"{name}: predictions are readable by their owner only")
    table = place.run_well("eval", name, "--quiet")
    require("colour" in table and "echo" in table, f"{name}: the table names the tasks")
    require((run / "eval-test-2").is_dir(), f"{name}: a second evaluation stands beside the first")

    answers = place.run_well("generate", name, "--task", "echo", "--prompt", "test row 1: write", "--prompt", "test row 2: write")
    require(answers == place.run_well("generate", name, "--task", "echo", input="test row 1: write\ntest row 2: write\n", stdin=None),
            f"{name}: prompts from standard input give what --prompt gives")


def check_gates(place, name, gates, uniform):
    print_out = place.run_well("gates", name)
    require("colour" in print_out and "echo" in print_out, f"{name}: the gates' table names the tasks")
    content = json.loads(place.run_well("gates", name, "--json", "--svg", f"{name}.svg"))
    require(content["tasks"] == ["colour", "echo"] and len(content["gates"]) == gates, f"{name}: {gates} gates of two tasks")
    for gate in content["gates"]:
        for weights in gate["weights"]:
            require(abs(sum(weights) - 1) < 1e-5, f"{name}: weights of {gate['name']} sum to 1")
    apart = max(abs(a - b) for gate in content["gates"] for a, b in zip(*gate["weights"]))
    require((apart < 1e-6) if uniform else (apart > 1e-3), f"{name}: tasks' gates differ by {apart}")
    picture = xml.etree.ElementTree.parse(place.path / f"{name}.svg").getroot()
    require(picture.tag == "{http://www.w3.org/2000/svg}svg", f"{name}: the picture is an SVG")


def check_peft(place, name):
    """What PEFT makes of the exported directories answers as the program does, token for token, and differs from the base."""
    import torch
    import transformers
    from peft import PeftModel
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    place.run_well("export", name, "--to", f"{name}-peft")
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.model)
    for task in ("colour", "echo"):
        base = transformers.AutoModelForCausalLM.from_pretrained(place.model, dtype=torch.float32)
        prompts = [f"test row {i}: write" for i in range(4)]
        ids = [tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True,
                                             return_tensors="pt")["input_ids"] for prompt in prompts]
        with torch.no_grad():
            before = base(ids[0]).logits
            model = PeftModel.from_pretrained(base, place.path / f"{name}-peft" / task)
            effect = (model(ids[0]).logits - before).abs().max().item()
        require(effect > 1e-2, f"{name}: the adapter of {task} changes the logits (by {effect})")
        expected = []
        for prompt in ids:
            answer = model.generate(input_ids=prompt, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, prompt.shape[1]:]
            expected.append(tokenizer.decode(answer, skip_special_tokens=True))
        flags = [flag for prompt in prompts for flag in ("--prompt", prompt)]
        ours = place.run_well("generate", name, "--task", task, "--max-new-tokens", "8", *flags)
        require(ours == "".join(f"{answer}\n" for answer in expected), f"{name}: PEFT answers {expected} for {task}, the program {ours!r}")


def check_moelora(place):
    check_method(place, "moelora")
    check_gates(place, "moelora", gates=1, uniform=False)
    check_peft(place, "moelora")


def check_per_layer(place):
    check_method(place, "per_layer", gate={"scope": "per_layer"})
    content = json.loads(place.run_well("gates", "per_layer", "--json"))
    check_gates(place, "per_layer", gates=len(content["gates"]), uniform=False)
    require(len(content["gates"]) > 2, "per_layer: a gate for each adapted group of each layer")
    check_peft(place, "per_layer")


def check_lora(place):
    check_method(place, "lora", method="lora")
    check_gates(place, "lora", gates=1, uniform=True)
    check_peft(place, "lora")


def check_uniform(place):
    check_method(place, "uniform", method="uniform")
    check_gates(place, "uniform", gates=1, uniform=True)
    check_peft(place, "uniform")


def check_molora(place):
    """Everything but what needs weights of a task: that is refused, with what to use instead."""
    check_method(place, "molora", method="molora")
    for arguments in (["export", "molora", "--to", "molora-peft"], ["gates", "molora"]):
        process = place.run(*arguments)
        require(process.returncode == 5 and "every token" in process.stderr and "adapter.method: moelora" in process.stderr,
                f"molora: {arguments[0]} is refused with a way out: {process.stderr}")
    require(not (place.path / "molora-peft").exists(), "molora: nothing is left of the refused export")
    require_resumes(place, "molora", method="molora")


def check_task_prompt(place):
    check_method(place, "prompted", method="lora_task_prompt")
    require("Task: colour" in (place.path / "prompted/config.yaml").read_text(), "prompted: the prompts stand in the resolved configuration")
    require_resumes(place, "prompted", method="lora_task_prompt")


def check_made_of_runs(place):
    """The methods that are made of one run a task: all a trained run can do, and resumed in the middle of any of them."""
    for method in ("lora_per_task", "lorahub", "task_arithmetic"):
        run = train(place, method, method=method, dropout=0.1)
        require(sorted(path.name for path in (run / "tasks").iterdir()) == ["colour", "echo"], f"{method}: a run for each task")
        report = json.loads(place.run_well("eval", method, "--json", "--quiet"))
        require(len(report["tasks"]) == 2, f"{method}: both tasks are scored in one batch")
        place.run_well("gates", method, "--json")
        check_peft(place, method)
        require_resumes(place, method, method=method)


def require_resumes(place, name, **adapter):
    """Stopped by SIGTERM in the middle and resumed: the same weights, byte for byte, as the run `name`."""
    again = f"{name}-again"
    place.write_config(config_of(place, again, **adapter), f"{again}.yaml")
    process = start(place, again)
    log = place.path / again / ("tasks/echo" if "method" in adapter and (place.path / name / "tasks").exists() else ".") / "metrics.jsonl"
    wait_for_lines(log, 2)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=120)
    require(process.returncode in (0, INTERRUPTED), f"{name}: stopped with {process.returncode}: {message}")
    if process.returncode == INTERRUPTED:
        place.run_well("train", f"{again}.yaml", "--quiet", "--resume")
    require(weights(place.path / again) == weights(place.path / name), f"{name}: stopped and resumed, the weights are the same, byte for byte")


def check_adapt(place):
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
    place.run_well("eval", "gradient", "--task", "colour", "--quiet")
    place.run_well("generate", "gradient", "--task", "fresh", "--prompt", "what colour?")
    place.run_well("export", "gradient", "--to", "gradient-peft", "--task", "fresh")
    place.write("data/fresh/train.jsonl", (place.path / "few.jsonl").read_text())
    train(place, "further", "--adapter.start=gradient")
    process = place.run("adapt", "known", "--task", "fresh", "--to", "nothing")
    require(process.returncode == 2 and "--weights uniform" in process.stderr, f"adapt: never a default: {process.stderr}")


def check_compare(place):
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
    page = (place.path / "compared/report.html").read_text()
    require("<svg" in page and "http-equiv" in page and "<script" not in page and "src=" not in page, "compare: a page without a network")
    require(len(list(place.path.glob("compared/results/*.json"))) == 6, "compare: two rates and one more seed a method")


def check_full(place):
    """method: full leaves a model directory that transformers reads."""
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    check_method(place, "full", method="full", dropout=0)
    model = transformers.AutoModelForCausalLM.from_pretrained(place.path / "full/model", dtype=torch.float32)
    base = transformers.AutoModelForCausalLM.from_pretrained(place.model, dtype=torch.float32)
    require(model.config.model_type == "qwen3", "full: the model keeps its family")
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, base.state_dict()[name])]
    require(len(moved) > 20, "full: every weight was trained")
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.path / "full/model")
    prompt = "test row 3: write"
    ids = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True,
                                        return_tensors="pt")["input_ids"]
    answer = model.generate(input_ids=ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids.shape[1]:]
    ours = place.run_well("generate", "full", "--task", "echo", "--max-new-tokens", "8", "--prompt", prompt)
    require(ours == tokenizer.decode(answer, skip_special_tokens=True) + "\n", "full: transformers answers as the program does")


def check_full_base(place):
    """A `full` run beside what it was trained from: other scores' rows, and the base's own answers."""
    train(place, "fullrun", "--train.learning_rate=0.05", method="full", dropout=0)
    own = json.loads(place.run_well("eval", "fullrun", "--json", "--quiet"))
    place.run_well("eval", "fullrun", "--without-adapter", "--json", "--quiet")
    train(place, "untouched", "--train.learning_rate=1e-30")
    place.run_well("eval", "untouched", "--without-adapter", "--json", "--quiet")
    predictions = lambda run, report: (place.path / run / report / "predictions.jsonl").read_text()
    require(predictions("fullrun", "eval-test-base") == predictions("untouched", "eval-test-base"), "the base is what the run began with")
    require(predictions("fullrun", "eval-test-base") != predictions("fullrun", "eval-test"), "and not what it became")
    require(own["tasks"], "scores of the run itself")
    flipped = place.path / "fullrun/model/config.json"
    flipped.write_text(flipped.read_text().replace("1e-06", "1e-05"))
    process = place.run("eval", "fullrun")
    require(process.returncode == 5 and "config.json" in process.stderr, f"a changed result is refused: {process.stderr}")


def check_other_data(place):
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


def check_demo(place):
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


def check_generated_scores(place):
    """eval.generate: scores of dev answers in the metrics, the best checkpoint by them."""
    run = train(place, "scored", "--eval.generate=true", "--eval.best=colour", "--eval.rows=3")
    last = metrics(run)[-1]["eval"]
    require(all("score" in last[name] and "loss" in last[name] for name in ("colour", "echo", "mean")), "scores stand beside the losses")


def check_same_seed(place):
    first, second = train(place, "first"), train(place, "second")
    require(metrics(first) == metrics(second), "the same seed gives the same metrics")
    require(weights(first) == weights(second), "the same seed gives the same weights, byte for byte")
    other = train(place, "other", "--train.seed=7")
    require(weights(first) != weights(other), "another seed gives other weights")


def weights(run):
    return (run / "adapter/moelora.safetensors").read_bytes()


def require_same_run(run, reference, what):
    require(metrics(run) == metrics(reference), f"{what}: the metrics are those of the run that wasn't interrupted")
    require(weights(run) == weights(reference), f"{what}: the weights are those of the run that wasn't interrupted, byte for byte")
    left = [path.name for path in run.rglob("*") if ".partial" in path.name]
    require(not left, f"{what}: {left} was left behind")


def start(place, name, *flags):
    return subprocess.Popen(place.command("train", f"{name}.yaml", "--quiet", *flags), cwd=place.path, env=place.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(log, lines):
    deadline = time.monotonic() + 60
    while (not log.exists() or log.read_bytes().count(b"\n") < lines) and time.monotonic() < deadline:
        time.sleep(0.002)


LONG_RUN = ["--train.max_steps=60", "--eval.every_steps=10", "--checkpoint.every_steps=3"]


def check_kill(place):
    """SIGKILL at any moment, again and again; the last process ends the run."""
    began = time.monotonic()
    reference = train(place, "whole", *LONG_RUN)
    duration = time.monotonic() - began
    moments = random.Random(1)
    kills = 0
    for attempt in range(3):
        name = f"killed{attempt}"
        place.write_config(config_of(place, name), f"{name}.yaml")
        for round_ in range(4):
            started = (place.path / name / "config.yaml").exists()
            process = start(place, name, *LONG_RUN, *(["--resume"] if started else []))
            if round_ == 0:  # surely in the middle, whatever the machine's speed
                wait_for_lines(place.path / name / "metrics.jsonl", moments.randint(2, 30))
            else:
                time.sleep(moments.uniform(0.1, 0.9) * duration)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
            process.communicate()
        place.run_well("train", f"{name}.yaml", "--quiet", *LONG_RUN, *(["--resume"] if (place.path / name / "config.yaml").exists() else []))
        require_same_run(place.path / name, reference, f"killed and resumed ({name})")
    require(kills >= 3, f"only {kills} of 12 processes were still running when they were killed")


def check_terminate(place):
    """SIGTERM: a checkpoint, exit code 75, and the run goes on from there."""
    reference = train(place, "calm", *LONG_RUN)
    place.write_config(config_of(place, "stopped"), "stopped.yaml")
    process = start(place, "stopped", *LONG_RUN)
    wait_for_lines(place.path / "stopped/metrics.jsonl", 1)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=60)
    require(process.returncode == INTERRUPTED, f"SIGTERM: exit code {process.returncode}: {message}")
    require("interrupted after step" in message and "--resume" in message, f"SIGTERM: {message}")
    place.run_well("train", "stopped.yaml", "--quiet", *LONG_RUN, "--resume")
    require_same_run(place.path / "stopped", reference, "terminated and resumed")


def check_terminate_in_evaluation(place):
    """SIGTERM while the loss of the dev rows is computed, and while answers to them are generated."""
    for task, row in {"colour": colour_row, "echo": echo_row}.items():
        place.write(f"data/{task}/dev.jsonl", jsonl(row("dev", i) for i in range(2000)))
    for what, flags in {"loss": [], "generation": ["--eval.generate=true", "--eval.rows=60"]}.items():
        flags = ["--train.max_steps=4", "--eval.every_steps=2", "--checkpoint.every_steps=1", *flags]
        reference = train(place, f"calm-{what}", *flags)
        name = f"stopped-{what}"
        place.write_config(config_of(place, name), f"{name}.yaml")
        process = start(place, name, *flags)
        wait_for_lines(place.path / name / "metrics.jsonl", 2)  # the evaluation follows
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=60)
        require(process.returncode == INTERRUPTED, f"{what}: exit code {process.returncode}: {message}")
        require("interrupted after step 2 of 4 in its evaluation; a checkpoint was written" in message, f"{what}: {message}")
        place.run_well("train", f"{name}.yaml", "--quiet", *flags, "--resume")
        require_same_run(place.path / name, reference, f"terminated in an evaluation ({what}) and resumed")


def check_damage(place):
    """The newest checkpoint is damaged: the one before it is taken, and the end is the same."""
    reference = train(place, "intact")
    run = place.path / "damaged"
    place.write_config(config_of(place, "damaged"), "damaged.yaml")
    shutil.copytree(reference, run)
    shutil.rmtree(run / "adapter")
    newest = max(run.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    content = bytearray((newest / "tensors.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "tensors.safetensors").write_bytes(bytes(content))
    process = place.run("train", "damaged.yaml", "--quiet", "--resume")
    require(process.returncode == 0, process.stderr)
    require(f"{newest.name} can't be used" in process.stderr, f"the damage is reported: {process.stderr}")
    require((run / f"bad-{newest.name}").is_dir(), "the damaged checkpoint is kept under another name")
    require_same_run(run, reference, "resumed from the checkpoint before")


def check_early_stop(place):
    """A run that stopped early and is resumed stays stopped."""
    flags = ["--eval.patience=1", "--train.learning_rate=1e-30", "--train.max_steps=40"]  # so that nothing improves
    run = train(place, "early", *flags)
    steps = metrics(run)[-1]["step"]
    require(steps == 8, f"early: stopped after {steps} steps")
    kept = weights(run)
    shutil.rmtree(run / "adapter")
    place.run_well("train", "early.yaml", "--quiet", *flags, "--resume")
    require(metrics(run)[-1]["step"] == steps and weights(run) == kept, "early: nothing is trained after the stop")


CHECKS = {"moelora": check_moelora, "per_layer": check_per_layer, "lora": check_lora, "uniform": check_uniform, "molora": check_molora,
          "task prompt": check_task_prompt, "made of runs": check_made_of_runs, "full": check_full, "base of full": check_full_base,
          "adapt": check_adapt, "compare": check_compare, "other data": check_other_data, "demo": check_demo,
          "generated scores": check_generated_scores, "same seed": check_same_seed, "kill": check_kill, "terminate": check_terminate,
          "end of an evaluation": check_terminate_in_evaluation,
          "damage": check_damage, "early stop": check_early_stop}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--only", default="", help="checks whose name holds this")
    options = parser.parse_args()
    failures = []
    for name, check in CHECKS.items():
        if options.only not in name:
            continue
        began = time.monotonic()
        with Workplace(options.program, options.fixtures) as place:
            try:
                check(place)
                outcome = "passed"
            except AssertionError as problem:
                failures.append(name)
                outcome = f"FAILED: {problem}"
        print(f"{name}: {outcome} ({time.monotonic() - began:.1f} s)", flush=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
