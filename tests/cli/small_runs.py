"""Small runs for the checks: their configuration, training them whole or in pieces, and what is the same of two runs."""
import json
import subprocess
import time

from checks import require

INTERRUPTED = 75


def config_of(place, output, **adapter):
    """Several micro-batches a step, dropout, tasks drawn at temperature 2, one that counts double, reports of conflict."""
    config = place.config()
    config["output"] = output
    config["data"]["max_length"] = 60
    config["adapter"].update({"dropout": 0.1, **adapter})
    config["train"].update({"max_steps": 8, "batch_size": 8, "tokens_per_batch": 110, "temperature": 2, "learning_rate": 0.01,
                            "log_every": 1, "conflict_every": 3})
    config["tasks"] = {"colour": {"weight": 2}}
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


def weights(run):
    return (run / "adapter/moelora.safetensors").read_bytes()


def start(place, name, *flags):
    return subprocess.Popen(place.command("train", f"{name}.yaml", "--quiet", *flags), cwd=place.path, env=place.environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(log, lines):
    deadline = time.monotonic() + 60
    while (not log.exists() or log.read_bytes().count(b"\n") < lines) and time.monotonic() < deadline:
        time.sleep(0.002)


def require_same_run(run, reference, what):
    require(metrics(run) == metrics(reference), f"{what}: the metrics are those of the run that wasn't interrupted")
    require(weights(run) == weights(reference), f"{what}: the weights are those of the run that wasn't interrupted, byte for byte")
    left = [path.name for path in run.rglob("*") if ".partial" in path.name]
    require(not left, f"{what}: {left} was left behind")
