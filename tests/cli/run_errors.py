"""Wrong runs, and what can't be done with a run, for errors.py."""
import fcntl
import shutil

from error_case import CONFIG, DATA, IO, LIMIT, LONG, MODEL, NUMERIC, TRAIN, USAGE, Case, small_disk
from spoiled_models import NORM, edit_json, overwrite_tensor, remove, write
from workplace import colour_row, jsonl

EVAL = ["eval", "out", "--base", "model"]


def flip_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def hold_lock(place):
    place.held = open(place.path / "out/.lock", "a")
    fcntl.flock(place.held, fcntl.LOCK_EX)


RUNS = [
    Case("evaluating no run", MODEL, ["absent", "no run"], ["eval", "absent"]),
    Case("evaluating an unfinished run", MODEL, ["not finished", "--resume"], ["eval", "out"], files={"out/config.yaml": "model: x\n"}),
    Case("gates of no run", MODEL, ["absent", "no run stands there", "adapter/"], ["gates", "absent"]),
    Case("gates of a directory that is no run", MODEL, ["data", "no run stands there"], ["gates", "data"]),
    Case("gates of a file", MODEL, ["run.yaml", "no run stands there"], ["gates", "run.yaml"]),
    Case("gates of an unfinished run", MODEL, ["not finished", "--resume"], ["gates", "out"], files={"out/config.yaml": "model: x\n"}),
    Case("gates of an adapter instead of its run", MODEL, ["out/adapter", "no run stands there", "the directory that holds it"],
         ["gates", "out/adapter"], needs_run=True),
    Case("gates of a fully trained model", MODEL, ["out", "no adapter", "full"], ["gates", "out"],
         files={"out/config.yaml": "model: x\n", "out/model/config.json": "{}"}),
    Case("unknown task at eval", USAGE, ["color", "did you mean `colour`"], [*EVAL, "--task", "color"], needs_run=True),
    Case("unknown task at export", USAGE, ["color", "did you mean `colour`"], ["export", "out", "--to", "to", "--task", "color"],
         needs_run=True),
    Case("unknown task at generate", USAGE, ["color", "did you mean `colour`"], ["generate", "out", "--task", "color", "--prompt", "x"],
         needs_run=True),
    Case("no prompt", USAGE, ["--prompt"], ["generate", "out", "--task", "colour"], needs_run=True),
    Case("prompt beyond the context", LIMIT, ["128"], ["generate", "out", "--task", "colour", "--prompt", LONG], needs_run=True),
    Case("base with other weights", MODEL, ["base model"], EVAL, needs_run=True, spoil_model=overwrite_tensor(NORM, 0.5)),
    Case("base with another tokenizer", MODEL, ["tokenizer"], EVAL, needs_run=True,
         spoil_model=edit_json("tokenizer.json", lambda t: t.update(truncation=None, padding=None) or t["added_tokens"][-1].update(rstrip=True))),
    Case("base with another template", MODEL, ["template"], EVAL, needs_run=True,
         spoil_model=write("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}")),
    Case("base that lost its template", MODEL, ["template", "found     none"], EVAL, needs_run=True,
         spoil_model=remove("chat_template.jinja")),
    Case("base with another rope", MODEL, ["config.json"], EVAL, needs_run=True,
         spoil_model=edit_json("config.json", lambda c: c.update(rms_norm_eps=0.5))),
    Case("metric of an unknown task", USAGE, ["color", "did you mean `colour`"], ["eval", "out", "--metric", "color=accuracy"], needs_run=True),
    Case("metric without a name", USAGE, ["--metric", "TASK=METRIC"], ["eval", "out", "--metric", "colour"], needs_run=True),
    Case("other data without the run's tasks", DATA, ["test rows", "colour"], ["eval", "out", "--data", "other"], needs_run=True,
         files={"other/blue/test.jsonl": jsonl([colour_row("test", 0)])}),
    Case("resuming a finished run without checkpoints", MODEL, ["finished"], [*TRAIN, "--resume"], needs_run=True,
         prepare=lambda place: [shutil.rmtree(path) for path in (place.path / "out").glob("checkpoint-*")]),
    Case("resuming where no checkpoint can be used", MODEL, ["no checkpoint of the run can be used"], [*TRAIN, "--resume"], needs_run=True,
         prepare=lambda place: [(path / "state.json").unlink() for path in (place.path / "out").glob("checkpoint-*")]),
    Case("merging onto weights of which there is one sort", USAGE, ["--onto", "wasn't quantised"],
         ["export", "out", "--to", "to", "--format", "merged", "--onto", "original"], needs_run=True),
    Case("an adapter onto weights", USAGE, ["--onto", "--format merged"], ["export", "out", "--to", "to", "--onto", "original"], needs_run=True),
    Case("memory that isn't there", LIMIT, ["out of memory", "tokens_per_batch"], TRAIN,
         config={"random_init": True, "adapter": {"method": "full"}},
         # embeddings of 64 TiB
         spoil_model=edit_json("config.json", lambda c: c.update(vocab_size=1 << 22, hidden_size=1 << 22))),
    Case("memory for an answer that isn't there", LIMIT, ["out of memory", "--cache-tokens"],
         ["generate", "out", "--task", "echo", "--prompt", "x", "--base", "model", "--other-base", "--max-new-tokens", str((1 << 30) - 100)], needs_run=True,
         spoil_model=edit_json("config.json", lambda c: c.update(max_position_embeddings=1 << 30))),
    Case("report over another", IO, ["data", "exists already"], [*EVAL, "--to", "data"], needs_run=True),
    Case("export over another", IO, ["to/colour", "exists already"], ["export", "out", "--to", "to"], needs_run=True,
         files={"to/colour/README.md": "mine"}),
    Case("picture over a file", IO, ["run.yaml", "exists already"], ["gates", "out", "--svg", "run.yaml"], needs_run=True),
    Case("damaged adapter", MODEL, ["moelora.safetensors"], ["gates", "out"], needs_run=True,
         prepare=lambda place: flip_byte(place.path / "out/adapter/moelora.safetensors", -9)),
    Case("cut adapter", MODEL, ["moelora.safetensors"], ["gates", "out"], needs_run=True,
         prepare=lambda place: (place.path / "out/adapter/moelora.safetensors").write_bytes(b"short")),
    Case("broken adapter settings", MODEL, ["moelora_config.json"], ["gates", "out"], needs_run=True,
         prepare=lambda place: (place.path / "out/adapter/moelora_config.json").write_text("{")),
    Case("training over a run", IO, ["out", "a run stands there already", "--resume"], TRAIN, needs_run=True),
    Case("resuming no run", USAGE, ["out", "no run to resume"], [*TRAIN, "--resume"]),
    Case("resuming with another seed", CONFIG, ["config has changed"], [*TRAIN, "--resume", "--train.seed=7"], needs_run=True),
    Case("resuming with other data", CONFIG, ["data has changed"], [*TRAIN, "--resume"], needs_run=True,
         files={"data/echo/train.jsonl": jsonl([{"input": "new", "target": "row"}])}),
    Case("a run another process writes", IO, ["out", "another process"], [*TRAIN, "--resume"], needs_run=True, prepare=hold_lock),
    Case("run directory below a file", IO, ["run.yaml"], [*TRAIN, "--output=run.yaml/out"]),
    Case("run directory below a loop of links", IO, ["loop"], [*TRAIN, "--output=loop/out"], prepare=lambda place: (place.path / "loop").symlink_to("loop")),
    Case("export below a file", IO, ["run.yaml"], ["export", "out", "--to", "run.yaml"], needs_run=True),
    Case("report below a file", IO, ["run.yaml"], [*EVAL, "--to", "run.yaml/report"], needs_run=True),
    Case("picture in no directory", IO, ["absent"], ["gates", "out", "--svg", "absent/gates.svg"], needs_run=True),
    Case("disk full in training", IO, ["out"], TRAIN, options=small_disk(20_000)),
    Case("disk full at export", IO, ["to"], ["export", "out", "--to", "to"], needs_run=True, options=small_disk(5_000)),
    Case("disk full for a report", IO, ["report"], [*EVAL, "--to", "report"], needs_run=True, options=small_disk(500)),
    Case("loss that isn't finite", NUMERIC, ["step 1", "task `", "train.jsonl:", "not finite"], TRAIN,
         spoil_model=overwrite_tensor(NORM, float("nan"))),
]
