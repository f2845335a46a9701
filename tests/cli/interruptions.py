"""Nothing is lost: the same seed gives the same bytes, however often the process is stopped, killed or its files damaged in between.

  python tests/cli/interruptions.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import random
import shutil
import signal
import time

from checks import require, run_checks
from small_runs import INTERRUPTED, config_of, metrics, require_same_run, start, train, wait_for_lines, weights
from workplace import colour_row, echo_row, jsonl

LONG_RUN = ["--train.max_steps=60", "--eval.every_steps=10", "--checkpoint.every_steps=3"]


def check_same_seed(place, _):
    first, second = train(place, "first"), train(place, "second")
    require(metrics(first) == metrics(second), "the same seed gives the same metrics")
    require(weights(first) == weights(second), "the same seed gives the same weights, byte for byte")
    other = train(place, "other", "--train.seed=7")
    require(weights(first) != weights(other), "another seed gives other weights")


def check_kill(place, _):
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


def check_terminate(place, _):
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


def check_terminate_in_evaluation(place, _):
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


def check_damage(place, _):
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


def check_early_stop(place, _):
    """A run that stopped early and is resumed stays stopped."""
    flags = ["--eval.patience=1", "--train.learning_rate=1e-30", "--train.max_steps=40"]  # so that nothing improves
    run = train(place, "early", *flags)
    steps = metrics(run)[-1]["step"]
    require(steps == 8, f"early: stopped after {steps} steps")
    kept = weights(run)
    shutil.rmtree(run / "adapter")
    place.run_well("train", "early.yaml", "--quiet", *flags, "--resume")
    require(metrics(run)[-1]["step"] == steps and weights(run) == kept, "early: nothing is trained after the stop")


if __name__ == "__main__":
    run_checks(__doc__, {"same seed": check_same_seed, "kill": check_kill, "terminate": check_terminate,
                         "end of an evaluation": check_terminate_in_evaluation, "damage": check_damage, "early stop": check_early_stop})
