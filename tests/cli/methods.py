"""The main job from outside, with every method: train, evaluate, look at the gates, export, load in PEFT or transformers, generate.

  python tests/cli/methods.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import json
import math
import re
import signal
import warnings
import xml.etree.ElementTree

from checks import require, run_checks
from small_runs import INTERRUPTED, config_of, metrics, start, train, wait_for_lines, weights


def check_method(place, name, **adapter):
    """Train, evaluate, gates, export, generate. The exported adapters are in <name>-peft."""
    run = train(place, name, **adapter)
    check_count(place, name, run)
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


def check_count(place, name, run):
    """`plan` prints a formula that gives the count it prints, and that is the count of what was trained."""
    plan = json.loads(place.run_well("plan", f"{name}.yaml", "--json"))
    numbers = plan["trained_parameters_formula"].rpartition("=")[2]
    require(re.fullmatch(r"[0-9x+() ]+", numbers), f"{name}: a formula of numbers: {numbers}")
    require(eval(numbers.replace("x", "*")) == plan["trained_parameters"], f"{name}: {numbers} isn't {plan['trained_parameters']}")
    require(numbers.strip() in place.run_well("plan", f"{name}.yaml"), f"{name}: the table has the formula too")
    if (run / "adapter").is_dir():
        from safetensors import safe_open
        with safe_open(run / "adapter/moelora.safetensors", "np") as file:
            count = sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
        require(count == plan["trained_parameters"], f"{name}: {count} numbers in the adapter, {plan['trained_parameters']} planned")


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


def check_peft(place, name, before=None):
    """What PEFT makes of the exported directories answers as the program does, token for token, and differs from the base.

    `before`: the text that the method puts before every prompt of a task.
    """
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
        lead = before(task) if before else ""
        ids = [tokenizer.apply_chat_template([{"role": "user", "content": lead + prompt}], add_generation_prompt=True, return_dict=True,
                                             return_tensors="pt")["input_ids"] for prompt in prompts]
        with torch.no_grad():
            of_base = base(ids[0]).logits
            model = PeftModel.from_pretrained(base, place.path / f"{name}-peft" / task)
            effect = (model(ids[0]).logits - of_base).abs().max().item()
        require(effect > 1e-2, f"{name}: the adapter of {task} changes the logits (by {effect})")
        expected = []
        for prompt in ids:
            answer = model.generate(input_ids=prompt, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, prompt.shape[1]:]
            expected.append(tokenizer.decode(answer, skip_special_tokens=True))
        flags = [flag for prompt in prompts for flag in ("--prompt", prompt)]
        ours = place.run_well("generate", name, "--task", task, "--max-new-tokens", "8", *flags)
        require(ours == "".join(f"{answer}\n" for answer in expected), f"{name}: PEFT answers {expected} for {task}, the program {ours!r}")


def check_moelora(place, _):
    check_method(place, "moelora")
    check_gates(place, "moelora", gates=1, uniform=False)
    check_peft(place, "moelora")


def check_per_layer(place, _):
    check_method(place, "per_layer", gate={"scope": "per_layer"})
    content = json.loads(place.run_well("gates", "per_layer", "--json"))
    check_gates(place, "per_layer", gates=len(content["gates"]), uniform=False)
    require(len(content["gates"]) > 2, "per_layer: a gate for each adapted group of each layer")
    check_peft(place, "per_layer")


def check_lora(place, _):
    check_method(place, "lora", method="lora")
    check_gates(place, "lora", gates=1, uniform=True)
    check_peft(place, "lora")


def check_uniform(place, _):
    check_method(place, "uniform", method="uniform")
    check_gates(place, "uniform", gates=1, uniform=True)
    check_peft(place, "uniform")


def check_own_steps(place, _):
    """Each task at a best step of its own: PEFT answers as the run does, and every form of export equals it."""
    flags = ("--eval.best=per_task", "--eval.every_steps=1", "--train.learning_rate=0.2")
    run = train(place, "own_steps", *flags)
    report = json.loads(place.run_well("eval", "own_steps", "--json", "--quiet"))
    require(len(report["tasks"]) == 2, "own_steps: tasks at several steps are scored in one batch")
    losses = {task: [line["eval"][task]["loss"] for line in metrics(run) if "eval" in line] for task in ("colour", "echo")}
    best = {task: values.index(min(values)) for task, values in losses.items()}
    require(best["colour"] != best["echo"], f"own_steps: the tasks' best steps are to differ for this check to mean anything: {losses}")
    check_peft(place, "own_steps")
    for form in ("gguf", "merged"):
        for task in ("colour", "echo"):
            place.run_well("export", "own_steps", "--task", task, "--format", form, "--to", f"own_steps-{form}-{task}", "--check")
    process = place.run("adapt", "own_steps", "--task", "third", "--weights", "uniform", "--to", "own_steps-third")
    require(process.returncode == 5 and "its own best step" in process.stderr, f"own_steps: a new task is refused: {process.stderr}")


def check_molora(place, _):
    """Everything but what needs weights of a task: that is refused, with what to use instead."""
    check_method(place, "molora", method="molora")
    for arguments in (["export", "molora", "--to", "molora-peft"], ["gates", "molora"]):
        process = place.run(*arguments)
        require(process.returncode == 5 and "every token" in process.stderr and "adapter.method: moelora" in process.stderr,
                f"molora: {arguments[0]} is refused with a way out: {process.stderr}")
    require(not (place.path / "molora-peft").exists(), "molora: nothing is left of the refused export")
    require_resumes(place, "molora", method="molora")


def check_task_prompt(place, _):
    check_method(place, "prompted", method="lora_task_prompt")
    require("Task: colour" in (place.path / "prompted/config.yaml").read_text(), "prompted: the prompts stand in the resolved configuration")
    check_peft(place, "prompted", before=lambda task: f"Task: {task}\n")
    require_resumes(place, "prompted", method="lora_task_prompt")


def check_made_of_runs(place, _):
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


def check_merging(place, form):
    """Into which weights is a choice; the difference from the run is printed."""
    merged = ["export", form, "--task", "echo", "--format", "merged"]
    process = place.run(*merged, "--to", f"{form}-merged")
    require(process.returncode == 2 and "--onto dequantised" in process.stderr and form in process.stderr, f"{form}: no choice: {process.stderr}")
    apart = {}
    for onto in ("dequantised", "original"):
        out = place.run_well(*merged, "--onto", onto, "--to", f"{form}-{onto}", "--check")
        apart[onto] = float(re.search(r"at most (\S+) apart", out)[1])
        require(re.search(r"rouge_l on 6 dev rows: \d\.\d{4} merged, \d\.\d{4} the run \([+-]", out), f"{form}: the scores are printed: {out}")
    require(apart["dequantised"] < apart["original"], f"{form}: the weights of the training are nearer: {apart}")
    require(form != "nf4" or apart["dequantised"] < 1e-4, f"{form}: the same numbers: {apart}")
    out = place.run_well(*merged, "--onto", "original", "--to", f"{form}-unscored", "--dev-rows", 0)
    require("apart" in out and "dev rows" not in out, f"{form}: logits alone: {out}")
    rows = place.path / "data/echo/dev.jsonl"
    rows.rename(rows.with_suffix(".away"))
    process = place.run(*merged, "--onto", "original", "--to", f"{form}-rowless")
    require(process.returncode == 4 and "--dev-rows 0" in process.stderr, f"{form}: no dev rows: {process.stderr}")
    require(not (place.path / f"{form}-rowless").exists(), f"{form}: nothing is written before that is known")
    rows.with_suffix(".away").rename(rows)


def check_other_forms(place, form):
    """A run opens as it was trained; another form is taken where it is told, and said."""
    report = json.loads(place.run_well("eval", form, "--json", "--quiet", "--split", "dev"))
    require(report["facts"]["quantization"] == form, f"{form}: the report names the form: {report['facts']}")
    for other in ("none", "int8", "nf4"):
        process = place.run("generate", form, "--task", "echo", "--prompt", "test row 1: write", "--quantization", other)
        require(process.returncode == 0, process.stderr)
        require(("was trained on" in process.stderr) == (other != form), f"{form} as {other}: {process.stderr}")
    process = place.run("eval", form, "--quantization", "nf5")
    require(process.returncode == 2 and "nf4" in process.stderr, f"{form}: an unknown form: {process.stderr}")


def check_quantized(place, _):
    """A base in fewer bits: all a run can do with it, resumed to the bit, near what the whole base learns."""
    whole = metrics(train(place, "whole"))[-1]["eval"]["mean"]["loss"]
    for form in ("int8", "nf4"):
        place.write_config({**config_of(place, form), "quantization": form}, f"{form}.yaml")
        place.run_well("train", f"{form}.yaml", "--quiet")
        loss = metrics(place.path / form)[-1]["eval"]["mean"]["loss"]
        require(loss != whole and abs(loss - whole) < 0.3, f"{form}: the dev loss is {loss}, that of the whole base {whole}")
        require(f"quantization: {form}" in (place.path / form / "config.yaml").read_text(), f"{form}: the run records its base's form")
        place.run_well("eval", form, "--quiet")
        place.run_well("generate", form, "--task", "echo", "--prompt", "test row 1: write")
        place.run_well("export", form, "--to", f"{form}-peft")
        check_merging(place, form)
        check_other_forms(place, form)
        place.write_config({**config_of(place, f"{form}-again"), "quantization": form}, f"{form}-again.yaml")
        process = start(place, f"{form}-again")
        wait_for_lines(place.path / f"{form}-again/metrics.jsonl", 2)
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=120)
        require(process.returncode in (0, INTERRUPTED), f"{form}: stopped with {process.returncode}: {message}")
        if process.returncode == INTERRUPTED:
            place.run_well("train", f"{form}-again.yaml", "--quiet", "--resume")
        require(weights(place.path / f"{form}-again") == weights(place.path / form), f"{form}: stopped and resumed, the weights are the same")
    process = place.run("train", "nf4.yaml", "--quiet", "--output=full", "--adapter.method=full", "--adapter.dropout=0")
    require(process.returncode == 3 and "can't train a quantised base" in process.stderr, f"full and nf4: {process.stderr}")


def check_full(place, _):
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


def check_full_base(place, _):
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


if __name__ == "__main__":
    run_checks(__doc__, {
        "moelora": check_moelora, "per_layer": check_per_layer, "lora": check_lora, "uniform": check_uniform,
        "own steps": check_own_steps, "molora": check_molora, "task prompt": check_task_prompt,
        "made of runs": check_made_of_runs, "quantized": check_quantized, "full": check_full, "base of full": check_full_base})
