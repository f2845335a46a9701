"""Exports from outside: what is refused, cards, ranks, memory bounded by shards, and that an interrupted one leaves nothing that loads.
What other programs compute with them: export_parity.py.

  python tests/cli/exports.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import warnings

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file

from checks import require, run_checks
from export_runs import TASKS, make_run

SERVED_RANKS = {1, 8, 16, 32, 64, 128, 256, 320, 512}


def load(path):
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def big_model(path, layers, width=512, vocabulary=320):
    """A sharded bfloat16 model, one shard a layer; its tokenizer is put beside it by the caller."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return (torch.randn(shape, generator=generator) * 0.02).bfloat16()

    heads = {"q_proj": (width, width), "k_proj": (width, width), "v_proj": (width, width), "o_proj": (width, width)}
    mlp = {"gate_proj": (4 * width, width), "up_proj": (4 * width, width), "down_proj": (width, 4 * width)}
    weight_map, shards = {}, []
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shard = {f"{prefix}self_attn.{name}.weight": noise(*shape) for name, shape in heads.items()}
        shard |= {f"{prefix}mlp.{name}.weight": noise(*shape) for name, shape in mlp.items()}
        shard |= {f"{prefix}{name}.weight": torch.ones(width).bfloat16() for name in ("input_layernorm", "post_attention_layernorm")}
        shards.append(shard)
    shards[0] |= {"model.embed_tokens.weight": noise(vocabulary, width), "model.norm.weight": torch.ones(width).bfloat16()}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{layers:05}.safetensors"
        save_file(shard, path / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(shard, name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (path / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary, "hidden_size": width,
        "intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8,
        "max_position_embeddings": 256, "tie_word_embeddings": True, "eos_token_id": 2, "dtype": "bfloat16"}))
    return max((path / name).stat().st_size for name in weight_map.values())


def make_big_run(place, layers=20):
    model = place.path / "big"
    model.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(place.model / name, model / name)
    (model / "pytorch_model.bin").write_bytes(b"the unmerged weights once more")
    shard_bytes = big_model(model, layers)
    config = {"threads": 1, "dtype": "bfloat16", "max_steps": 1, "batch_size": 2, "tokens_per_batch": 100, "learning_rate": 0.01}
    make_run(place, "bigrun", model=str(model), train=config)
    return shard_bytes


# By a small process between: what its parent had in memory when it was started counts as a process's own.
PEAK = """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""


def peak_bytes(place, *arguments):
    between = subprocess.run([sys.executable, "-S", "-c", PEAK, *place.command(*arguments)], cwd=place.path, env=place.environment(),
                             capture_output=True, text=True)
    require(between.returncode == 0, f"moelora {' '.join(arguments)}: {between.stderr}")
    return int(between.stdout) * 1024


def check_memory(place, fixtures):
    """Twenty shards of a model take no more memory than two; what the program itself takes is measured with a tiny model."""
    make_run(place)
    shard_bytes = make_big_run(place)
    small = peak_bytes(place, "export", "run", "--to", "small", "--format", "merged", "--task", "echo")
    large = peak_bytes(place, "export", "bigrun", "--to", "large", "--format", "merged", "--task", "echo")
    print(f"  {large >> 20} MiB, {small >> 20} MiB for a tiny model; a shard has {shard_bytes >> 20} MiB", flush=True)
    require(large < 2 * shard_bytes + (1 << 30), f"{large >> 20} MiB; a shard has {shard_bytes >> 20} MiB")
    require(large - small < 2 * shard_bytes + (32 << 20),  # the adapter is larger too
            f"{(large - small) >> 20} MiB more than for a tiny model; a shard has {shard_bytes >> 20} MiB")
    require(not (place.path / "large/echo/pytorch_model.bin").exists(), "unmerged weights in another form are not copied")
    state = load(place.path / "large/echo").state_dict()
    before = load(place.path / "big").state_dict()
    moved = sum(not torch.equal(state[name], before[name]) for name in before)
    require(moved > 100, f"{moved} tensors were changed")


def stop_export(place, stop, moment):
    """Starts a merged export and stops it once a file that matches `moment` is there. Its return code."""
    process = subprocess.Popen(place.command("export", "bigrun", "--to", "to", "--format", "merged", "--task", "echo"),
                               cwd=place.path, env=place.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if moment is None or any(place.path.glob(f"to/.echo.partial-{process.pid}-*/{moment}")):
            break
        time.sleep(0.0005)
    process.send_signal(stop)
    return process.wait(timeout=60)


def sizes(path):
    return {file.name: file.stat().st_size for file in path.iterdir()}


def require_whole_if_it_loads(path, whole):
    """config.json is the model's last file, without which nothing loads; only the manifest comes behind it."""
    try:
        load(path)
    except (OSError, ValueError):
        return
    differing = {name for name, _ in sizes(path).items() ^ whole.items()} - {"manifest.json"}
    require(not differing, f"{path.name} loads and is not whole: {differing}")


def check_interruption(place, fixtures):
    """Stopped at several moments, from before the first file to behind the last: the target is whole or not there."""
    make_big_run(place)
    target = place.path / "to/echo"
    place.run_well("export", "bigrun", "--to", "to", "--format", "merged", "--task", "echo")
    load(target)
    whole = sizes(target)
    moments = [None, "model-00001-*", "model-00002-*", "model-00010-*", "model-00020-*", "model.safetensors.index.json", "README.md"]
    stopped = 0
    for stop, moment in [(signal.SIGKILL, moment) for moment in moments] + [(signal.SIGTERM, "model-00002-*")]:
        shutil.rmtree(place.path / "to", ignore_errors=True)
        code = stop_export(place, stop, moment)
        left = list(place.path.glob("to/.*"))
        if target.exists():  # the export was faster, and may have been killed on its way out
            require(code == 0 or code == -signal.SIGKILL, f"{stop.name} at {moment}: code {code}, and the target is there")
            require(sizes(target) == whole, f"{stop.name} at {moment}: {sizes(target)}")
            load(target)
        else:
            stopped += 1
            require(code == (75 if stop == signal.SIGTERM else -stop), f"{stop.name} at {moment}: code {code}")
        require(stop != signal.SIGTERM or not left, f"{stop.name}: {left} was left behind")
        for path in left:
            require_whole_if_it_loads(path, whole)
    require(stopped >= 5, f"only {stopped} of {len(moments) + 1} exports were stopped")
    shutil.rmtree(target, ignore_errors=True)
    place.run_well("export", "bigrun", "--to", "to", "--format", "merged", "--task", "echo")
    load(target)


def check_served_ranks(place, fixtures):
    """--pad-rank meets what vLLM documents of LoRA directories, and changes nothing that they compute. vLLM itself isn't run."""
    make_run(place)
    place.run_well("export", "run", "--to", "plain")
    place.run_well("export", "run", "--to", "padded", "--pad-rank", "--check")
    probe = torch.arange(3, 40)[None]
    for task in TASKS:
        config = json.loads((place.path / "padded" / task / "adapter_config.json").read_text())
        require(config["r"] == 8 and config["r"] in SERVED_RANKS and config["lora_alpha"] == config["r"], f"{task}: {config['r']}")
        require(config["bias"] == "none" and not config["use_dora"] and not config["modules_to_save"], f"{task}: plain LoRA")
        require(not config["rank_pattern"] and not config["alpha_pattern"] and not config["use_rslora"], f"{task}: uniform rank")
        for name, tensor in load_file(place.path / "padded" / task / "adapter_model.safetensors").items():
            require(tensor.shape[0 if "lora_A" in name else 1] == 8, f"{task}: {name} {list(tensor.shape)}")
        logits = []
        for kind in ("plain", "padded"):
            with torch.no_grad():
                logits.append(PeftModel.from_pretrained(load(place.model), place.path / kind / task).eval()(probe).logits)
        require((logits[0] - logits[1]).abs().max() < 1e-5, f"{task}: the padded adapter computes the same")


def check_cards(place, fixtures):
    run = make_run(place)
    saved = json.loads((run / "adapter/moelora_config.json").read_text())
    for kind in ("peft", "merged", "gguf"):
        place.run_well("export", "run", "--to", kind, "--format", kind, "--task", "count")
        card = (place.path / kind / "count/README.md").read_text()
        front, body = card.split("---\n")[1], card.split("---\n", 2)[2]
        require(f"base_model: {json.dumps(str(place.model))}" in front, f"{kind}: the base in the front matter")
        for text in ("| task | count |", "| metric | ", "CC0-1.0", "Answer \\| briefly.", saved["base"]["hash"], saved["template_hash"],
                     "what the data of *every* task", *(source["hash"] for source in saved["sources"])):
            require(text in body, f"{kind}: the card says {text!r}")


def check_refusals(place, fixtures):
    make_run(place)
    for arguments, code, parts in (
            (["--format", "merge"], 2, ["--format"]),
            (["--format", "merged", "--pad-rank"], 2, ["--pad-rank"]),
            (["--all-tasks", "--task", "echo"], 2, ["--all-tasks"])):
        process = place.run("export", "run", "--to", "to", *arguments)
        require(process.returncode == code and all(part in process.stderr for part in parts),
                f"{arguments}: {process.returncode}: {process.stderr}")
    copy = place.path / "base"
    shutil.copytree(place.model, copy)
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[:-100])
    process = place.run("export", "run", "--to", "to", "--format", "merged", "--base", str(copy))
    require(process.returncode == 5 and "model.safetensors" in process.stderr, f"a cut base: {process.stderr}")
    (copy / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    process = place.run("export", "run", "--to", "to", "--format", "merged", "--base", str(copy))
    require(process.returncode == 5 and "base model" in process.stderr, f"another base: {process.stderr}")
    require(not (place.path / "to").exists() or not list((place.path / "to").iterdir()), "nothing was written")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run_checks(__doc__, {
        "refusals": check_refusals, "cards": check_cards, "served_ranks": check_served_ranks, "memory": check_memory,
        "interruption": check_interruption})
