"""Exports from outside: what transformers, PEFT and llama.cpp make of the written directories answers as `moelora generate` does, token for
token; an export's memory is bounded by shards, and one that is interrupted leaves nothing that loads.

  python tests/cli/exports.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import contextlib
import json
import os
import pathlib
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import llama_cpp
from checks import require, run_checks
from workplace import Workplace, jsonl

TASKS = ["colour", "count", "echo"]
PROMPTS = 20
NEW_TOKENS = 8
SYSTEM = "Answer | briefly."
SERVED_RANKS = {1, 8, 16, 32, 64, 128, 256, 320, 512}
ICD10 = pathlib.Path(__file__).resolve().parents[2] / "examples/icd10"


def make_run(place, name="run", **model):
    for split, count in {"train": 24, "dev": 6}.items():
        place.write(f"data/count/{split}.jsonl", jsonl({"input": f"{split}: how many {'a' * (i % 7)}?", "target": str(i % 7),
                                                        "task_type": "text", "license": "CC0-1.0"} for i in range(count)))
    config = place.config()
    config["output"] = name
    config["template"] = {"system": SYSTEM}
    config["adapter"].update({"rank": 6, "experts": 2})
    config["train"].update({"max_steps": 8, "batch_size": 8, "tokens_per_batch": 200, "learning_rate": 0.02})
    config.update(model)
    place.write_config(config, f"{name}.yaml")
    place.run_well("train", f"{name}.yaml", "--quiet")
    return place.path / name


def make_demo_run(place):
    """The demo's bundled base, in bfloat16 on the disk, after a few steps on three of its tasks."""
    tasks = {"chapter": "chapter", "event": "event", "report": "report"}
    config = {"model": str(ICD10 / "base_model"), "output": "run",
              "data": {"sources": [{"path": str(ICD10 / f"data/{task}/train.jsonl"), "split": "train"} for task in tasks],
                       "max_length": 600},
              "tasks": {task: {"max_rows": 32} for task in tasks},
              "adapter": {"rank": 6, "experts": 2},
              "train": {"threads": 1, "dtype": "float32", "max_steps": 6, "batch_size": 8, "learning_rate": 0.005},
              "eval": {"max_new_tokens": NEW_TOKENS}}
    place.write_config(config)
    place.run_well("train", "run.yaml", "--quiet")
    prompts = {}
    for task in tasks:
        rows = (ICD10 / f"data/{task}/test.jsonl").read_text().splitlines()
        prompts[task] = [json.loads(row)["input"] for row in rows[:2 * PROMPTS]]
    return prompts


def load(path, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def last_logits(model):
    def step(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0, -1]
    return step


def greedy(step, ids, stop, tie):
    """The tokens of an answer, or nothing where two best logits lie within `tie`: rounding may choose either."""
    answer = []
    while len(answer) < NEW_TOKENS and not (answer and answer[-1] == stop):
        best = step(ids + answer).topk(2)
        if (best.values[0] - best.values[1]).item() <= tie:
            return None
        answer.append(best.indices[0].item())
    return answer


def compare_answers(place, step, tokenizer, task, prompts, system, tolerance):
    """The first PROMPTS of `prompts` without a tie, all in one call of the program. `step` is the last logits of token ids."""
    chosen, expected = [], []
    for prompt in prompts:
        messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        answer = greedy(step, ids, tokenizer.eos_token_id, 2 * tolerance)
        if answer is not None:
            chosen.append(prompt)
            expected.append(tokenizer.decode(answer, skip_special_tokens=True))
        if len(chosen) == PROMPTS:
            break
    require(len(chosen) == PROMPTS, f"{task}: only {len(chosen)} of {len(prompts)} prompts without a tie")
    flags = [flag for prompt in chosen for flag in ("--prompt", prompt)]
    ours = place.run_well("generate", "run", "--task", task, "--max-new-tokens", NEW_TOKENS, *flags)
    require(ours == "".join(f"{answer}\n" for answer in expected), f"{task}: expected {expected}, the program says {ours!r}")


def prompts_of(task, count):
    return [f"test {task} {i}: {'ab' * (i % 5)}" for i in range(count)]


def check_families(place, fixtures):
    """Merged (f32, sharded) and PEFT exports of every family."""
    for family in ("llama", "mistral", "qwen2", "qwen3"):
        for name in ("run", "peft", "merged"):
            shutil.rmtree(place.path / name, ignore_errors=True)
        place.model = pathlib.Path(fixtures).resolve() / family / "sharded"
        make_run(place)
        printed = place.run_well("export", "run", "--to", "merged", "--format", "merged", "--all-tasks", "--check")
        require(printed.count("read back") == 3, f"{family}: three directories were checked: {printed}")
        place.run_well("export", "run", "--to", "peft", "--check")
        tokenizer = transformers.AutoTokenizer.from_pretrained(place.path / "merged/echo")
        for task in TASKS:
            merged = load(place.path / "merged" / task)
            base = load(place.model)
            probe = torch.arange(3, 40)[None]
            with torch.no_grad():
                effect = (merged(probe).logits - base(probe).logits).abs().max().item()
            require(effect > 1e-2, f"{family}: {task} changes the logits only by {effect}")
            compare_answers(place, last_logits(merged), tokenizer, task, prompts_of(task, 2 * PROMPTS), SYSTEM, 1e-4)
            adapted = PeftModel.from_pretrained(base, place.path / "peft" / task).eval()
            with torch.no_grad():
                difference = (merged(probe).logits - adapted(probe).logits).abs().max().item()
            require(difference < 1e-4, f"{family}: PEFT and the merged model differ by {difference} for {task}")
        names = {path.name for path in (place.path / "merged/echo").iterdir()}
        source = {path.name for path in place.model.iterdir()}
        require(names == source | {"README.md", "manifest.json"}, f"{family}: files {sorted(names)}, the base's are {sorted(source)}")
        for path in place.model.iterdir():
            copy = place.path / "merged/echo" / path.name
            if path.suffix == ".safetensors":
                ours, theirs = load_file(copy), load_file(path)
                require({n: (t.dtype, t.shape) for n, t in ours.items()} == {n: (t.dtype, t.shape) for n, t in theirs.items()},
                        f"{family}: {path.name} holds the same tensors")
            else:
                require(copy.read_bytes() == path.read_bytes(), f"{family}: {path.name} is copied as it is")


def check_demo(place, fixtures):
    """The demo's model: merged into bfloat16, and PEFT in float32."""
    prompts = make_demo_run(place)
    place.run_well("export", "run", "--to", "merged", "--format", "merged", "--check")
    place.run_well("export", "run", "--to", "peft", "--check")
    tokenizer = transformers.AutoTokenizer.from_pretrained(ICD10 / "base_model")
    for task, texts in prompts.items():
        weights = load_file(place.path / "merged" / task / "model.safetensors")
        require(all(value.dtype == torch.bfloat16 for value in weights.values()), f"{task}: the base's dtypes")
        adapted = PeftModel.from_pretrained(load(ICD10 / "base_model"), place.path / "peft" / task).eval()
        compare_answers(place, last_logits(adapted), tokenizer, task, texts, "", 1e-4)
        merged = load(place.path / "merged" / task)
        ids = torch.tensor([tokenizer(texts[0])["input_ids"]])
        with torch.no_grad():
            expected = adapted(ids).logits
            difference = (merged(ids).logits - expected).abs().max().item()
            effect = (expected - load(ICD10 / "base_model")(ids).logits).abs().max().item()
        require(difference < 2e-2 * max(1, expected.abs().max().item()) and effect > 20 * difference,
                f"{task}: merged in bfloat16 the logits differ by {difference}, the adapter changes them by {effect}")


def check_gguf(place, fixtures):
    """llama.cpp loads the adapter beside its own conversion of the base, permuted rows of q and k included."""
    for family in ("llama", "mistral", "qwen2", "qwen3"):
        for name in ("run", "gguf", "peft"):
            shutil.rmtree(place.path / name, ignore_errors=True)
        place.model = pathlib.Path(fixtures).resolve() / family / "f16"
        make_run(place)
        place.run_well("export", "run", "--to", "gguf", "--format", "gguf", "--check", *(["--pad-rank"] if family == "qwen3" else []))
        place.run_well("export", "run", "--to", "peft")
        base = place.path / "base.gguf"
        llama_cpp.convert(place.model, base, "f16")
        tokenizer = transformers.AutoTokenizer.from_pretrained(place.model)
        ids = list(range(3, 40))
        for task in TASKS:
            adapter = place.path / "gguf" / task / "adapter.gguf"
            plain = llama_cpp.LlamaCpp(base, tokenizer.vocab_size).logits(ids)
            llama = llama_cpp.LlamaCpp(base, tokenizer.vocab_size, adapter)
            adapted = PeftModel.from_pretrained(load(place.model), place.path / "peft" / task).eval()
            with torch.no_grad():
                expected = adapted(torch.tensor([ids])).logits[0]
            ours = llama.logits(ids)
            difference, effect = (ours - expected).abs().max().item(), (ours - plain).abs().max().item()
            require(difference < 2e-2 and effect > 50 * difference,
                    f"{family}: llama.cpp's logits of {task} differ from PEFT's by {difference}, the adapter changes them by {effect}")
            compare_answers(place, lambda tokens: llama.logits(tokens)[-1], tokenizer, task, prompts_of(task, 10 * PROMPTS), SYSTEM, 2e-2)
        whole = adapter.read_bytes()
        for name, content in {"cut": whole[:-200], "empty": b"", "header": whole[:40]}.items():
            place.write(f"{name}.gguf", content)
            try:
                llama_cpp.LlamaCpp(base, tokenizer.vocab_size, place.path / f"{name}.gguf")
            except ValueError:
                continue
            raise AssertionError(f"{family}: llama.cpp loads the damaged adapter ({name})")


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


def peak_bytes(place, *arguments):
    process = subprocess.Popen(place.command(*arguments), cwd=place.path, env=place.environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    require(status == 0, f"moelora {' '.join(arguments)}: status {status}")
    return usage.ru_maxrss * 1024


def check_memory(place, fixtures):
    """Twenty shards of a model take no more memory than two; what the program itself takes is measured with a tiny model."""
    make_run(place)
    shard_bytes = make_big_run(place)
    small = peak_bytes(place, "export", "run", "--to", "small", "--format", "merged", "--task", "echo")
    large = peak_bytes(place, "export", "bigrun", "--to", "large", "--format", "merged", "--task", "echo")
    require(large - small < 2 * shard_bytes + (16 << 20),
            f"{(large - small) >> 20} MiB more than for a tiny model; a shard has {shard_bytes >> 20} MiB")
    require(not (place.path / "large/echo/pytorch_model.bin").exists(), "unmerged weights in another form are not copied")
    state = load(place.path / "large/echo").state_dict()
    before = load(place.path / "big").state_dict()
    moved = sum(not torch.equal(state[name], before[name]) for name in before)
    require(moved > 100, f"{moved} tensors were changed")


def check_interruption(place, fixtures):
    make_big_run(place)
    target = place.path / "to/echo"
    for stop in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(place.command("export", "bigrun", "--to", "to", "--format", "merged", "--task", "echo"),
                                   cwd=place.path, env=place.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(place.path.glob(f"to/.echo.partial-{process.pid}-*/model-00002*"))) > 0:
                break
            time.sleep(0.001)
        process.send_signal(stop)
        _, message = process.communicate(timeout=60)
        require(process.returncode == (75 if stop == signal.SIGTERM else -stop), f"{stop.name}: code {process.returncode}: {message}")
        require(not target.exists(), f"{stop.name}: nothing stands at the target")
        left = list(place.path.glob("to/.*"))
        if stop == signal.SIGTERM:
            require(not left, f"{stop.name}: {left} was left behind")
        for path in left:
            require(not (path / "config.json").exists(), f"{path.name}: config.json is written last")
            try:
                load(path)
            except (OSError, ValueError):
                shutil.rmtree(path)
            else:
                raise AssertionError(f"{path.name} loads")
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
        "refusals": check_refusals, "cards": check_cards, "families": check_families, "demo": check_demo, "gguf": check_gguf,
        "served_ranks": check_served_ranks, "memory": check_memory, "interruption": check_interruption})
