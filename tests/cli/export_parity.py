"""What transformers (merged), PEFT and llama.cpp (GGUF) make of exported directories: the same logits, and the answers of
`moelora generate`, token for token, for every family and the demo's model.

  python tests/cli/export_parity.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]

Tolerances of logits are 1e-4 in float32 and 2e-2 where weights have 16 bits; an adapter's own effect is a hundred times that
at least. Prompts whose two best logits ever lie within twice the tolerance aren't counted among the twenty: either token may
come.
"""
import functools
import json
import pathlib
import random
import shutil
import string
import sys
import warnings

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("interop", "fixtures")]
import families
import greedy
import llama_cpp
from checks import require, run_checks
from export_runs import ICD10, SYSTEM, TASKS, make_demo_run, make_run
from workplace import jsonl

PROMPTS = 20
NEW_TOKENS = 8
F32, F16 = 1e-4, 2e-2
FORMATS = ("merged", "peft", "gguf")

# Their windows and long context llama.cpp computes otherwise than the models' files.
VARIANTS = {"mistral_window", "phi3_longrope"}
FAMILIES = [family for family in families.FAMILIES if family not in VARIANTS]

# What has to be otherwise than in the fixture's config.json for llama.cpp, which knows the published models: fixed values for
# Gemma, no window for Phi-3, no biases for InternLM2, a rotary embedding in Baichuan only where there are 32 layers.
CHANGES = {
    "gemma2": {"query_pre_attn_scalar": 16},
    "gemma3_text": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6},
    "gemma3": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6},
    "phi3": {"sliding_window": None},
    "internlm2": {"bias": False},
    "baichuan2": {"num_hidden_layers": 32},
}


def changed(tensors, config, changes):
    """A shard's tensors as `changes` of the config.json want them."""
    if changes.get("bias") is False:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias")}
    if "z_loss_weight" in config and "lm_head.weight" in tensors:  # the conversion keeps the rows of Baichuan2's head as they are
        tensors["lm_head.weight"] /= tensors["lm_head.weight"].norm(dim=1, keepdim=True)
    for layer in range(2, changes.get("num_hidden_layers", 0)):  # copies of the fixture's two, of little effect
        for name in [name for name in tensors if name.startswith(f"model.layers.{layer % 2}.")]:
            scale = 0.1 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
            tensors[name.replace(f".{layer % 2}.", f".{layer}.", 1)] = tensors[name] * scale
    return tensors


def write_base(fixture, changes, base):
    """The fixture's float32 shards with the keys of transformers 4, which llama.cpp's converter reads."""
    shutil.copytree(fixture / "sharded", base)
    config = json.loads((fixture / "f16/config.json").read_text())
    config["torch_dtype"] = "float32"
    config.get("text_config", config).update(changes)
    (base / "config.json").write_text(json.dumps(config, indent=1))
    for path in base.glob("*.safetensors"):
        save_file(changed(load_file(path), config, changes), path, metadata={"format": "pt"})
    index = base / "model.safetensors.index.json"
    weights = json.loads(index.read_text())
    weights["weight_map"] = {name: path.name for path in base.glob("*.safetensors") for name in load_file(path)}
    index.write_text(json.dumps(weights))


def load(path, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def largest(a, b):
    return (a - b).abs().max().item()


def export(place, formats=FORMATS):
    for name in formats:
        printed = place.run_well("export", "run", "--to", name, "--format", name, "--all-tasks", "--check")
        require(printed.count("read back") == 3, f"three directories were checked: {printed}")


def compare_answers(place, steps, tokenizer, task, prompts, ids, tie, lead=""):
    """`steps`: {name: last logits of sequences}. The first chooses PROMPTS of `prompts`, whose token ids are `ids`; the others and the
    program answer them as it does, the program without the template's `lead`. Returns how many of the answers differ."""
    (first, choose), *others = steps.items()
    expected = greedy.answers(choose, ids, tokenizer.eos_token_id, NEW_TOKENS, tie)
    chosen = [i for i, answer in enumerate(expected) if answer is not None][:PROMPTS]
    require(len(chosen) == PROMPTS, f"{task}: only {len(chosen)} of {len(prompts)} prompts without a tie")
    expected = [expected[i] for i in chosen]
    for name, step in others:
        theirs = greedy.answers(step, [ids[i] for i in chosen], tokenizer.eos_token_id, NEW_TOKENS)
        require(theirs == expected, f"{task}: {first} answers {expected}, {name} {theirs}")
    flags = [flag for i in chosen for flag in ("--prompt", prompts[i])]
    ours = place.run_well("generate", "run", "--task", task, "--max-new-tokens", NEW_TOKENS, *flags)
    texts = "".join(f"{tokenizer.decode(answer, skip_special_tokens=True).removeprefix(lead)}\n" for answer in expected)
    texts = texts.replace("\r\n", "\n").replace("\r", "\n")  # as the program's output is read
    require(ours == texts, f"{task}: {first} answers {texts!r}, the program {ours!r}")
    return len(set(map(tuple, expected)))


def require_copied(place):
    """A merged directory is the base's with other numbers in its linears."""
    names = {path.name for path in (place.path / "merged/echo").iterdir()}
    source = {path.name for path in place.model.iterdir()}
    require(names == source | {"README.md", "manifest.json"}, f"files {sorted(names)}, the base's are {sorted(source)}")
    for path in place.model.iterdir():
        copy = place.path / "merged/echo" / path.name
        if path.suffix == ".safetensors":
            ours, theirs = load_file(copy), load_file(path)
            require({n: (t.dtype, t.shape) for n, t in ours.items()} == {n: (t.dtype, t.shape) for n, t in theirs.items()},
                    f"{path.name} holds the same tensors")
        else:
            require(copy.read_bytes() == path.read_bytes(), f"{path.name} is copied as it is")


def random_text(draw, size=8):
    return "".join(draw.choices(string.printable[:94], k=size))


def make_random_run(place, draw, alpha):
    """Plain prompts, whose ends differ as a template's don't, and few and large steps towards nothing in particular: adapters with an
    effect, under which answers still differ."""
    for task in TASKS:
        rows = [{"input": f"train {task} {random_text(draw)}", "target": random_text(draw, 50)} for _ in range(24)]
        place.write(f"data/{task}/train.jsonl", jsonl(rows))
        place.write(f"data/{task}/dev.jsonl", jsonl(rows[:1]))
    make_run(place, adapter={"alpha": alpha}, template={"chat": False, "system": SYSTEM},
             train={"threads": 1, "dtype": "float32", "max_steps": 2, "batch_size": 8, "tokens_per_batch": 200, "learning_rate": 0.05})


def check_family(place, fixtures, family):
    place.model = place.path / "base"
    write_base(pathlib.Path(fixtures).resolve() / family, CHANGES.get(family, {}), place.model)
    draw = random.Random(family)
    make_random_run(place, draw, alpha=6 if family == "baichuan2" else 24)  # 32 layers add up to more
    export(place)
    require_copied(place)
    gguf = place.path / "base.gguf"
    llama_cpp.convert(place.model, gguf, "f16")
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.model)
    probe = list(range(3, 40))
    base = logits_of(load(place.model), probe)
    for task in TASKS:
        merged = load(place.path / "merged" / task)
        adapted = PeftModel.from_pretrained(load(place.model), place.path / "peft" / task).eval()
        llama = llama_cpp.LlamaCpp(gguf, tokenizer.vocab_size, place.path / "gguf" / task / "adapter.gguf")
        expected = logits_of(adapted, probe)
        effect = largest(expected, base)
        require(effect > 100 * F16, f"{task}: the adapter changes the logits only by {effect}")
        require(largest(logits_of(merged, probe), expected) < F32, f"{task}: PEFT and the merged model differ by "
                f"{largest(logits_of(merged, probe), expected)}")
        difference = largest(llama.logits(probe), expected)
        require(difference < F16, f"{task}: llama.cpp and PEFT differ by {difference}")
        steps = {"the merged model": greedy.last_logits(merged), "PEFT": greedy.last_logits(adapted), "llama.cpp": llama.last_logits}
        prompts = [f"test {task} {random_text(draw)}" for _ in range(10 * PROMPTS)]
        ids = [tokenizer(f"{SYSTEM}\n{prompt}")["input_ids"] for prompt in prompts]
        kinds = compare_answers(place, steps, tokenizer, task, prompts, ids, 2 * F16)
        require(kinds > 2, f"{task}: only {kinds} of {PROMPTS} answers differ")
        print(f"  {family}, {task}: effect {effect:.1f}, PEFT to merged {largest(logits_of(merged, probe), expected):.1e}, "
              f"to llama.cpp {difference:.1e}, {kinds} different answers", flush=True)


def check_demo(place, fixtures):
    """Its base is in bfloat16 on the disk, so a merged model is too."""
    prompts = make_demo_run(place)
    export(place)
    gguf = place.path / "base.gguf"
    llama_cpp.convert(ICD10 / "base_model", gguf, "f16")
    tokenizer = transformers.AutoTokenizer.from_pretrained(ICD10 / "base_model")
    for task, texts in prompts.items():
        weights = load_file(place.path / "merged" / task / "model.safetensors")
        require(all(value.dtype == torch.bfloat16 for value in weights.values()), f"{task}: the base's dtypes")
        merged = load(place.path / "merged" / task)
        base = load(ICD10 / "base_model")
        ids = tokenizer(texts[0])["input_ids"]
        plain = logits_of(base, ids)
        adapted = PeftModel.from_pretrained(base, place.path / "peft" / task).eval()
        llama = llama_cpp.LlamaCpp(gguf, tokenizer.vocab_size, place.path / "gguf" / task / "adapter.gguf")
        expected = logits_of(adapted, ids)
        scale = max(1.0, expected.abs().max().item())
        effect = largest(expected, plain)
        require(effect > 100 * F16, f"{task}: the adapter changes the logits only by {effect}")
        for name, logits in {"the merged model": logits_of(merged, ids), "llama.cpp": llama.logits(ids)}.items():
            difference = largest(logits, expected)
            print(f"  demo, {task}: effect {effect:.1f}, largest logit {scale:.1f}, PEFT to {name} {difference:.1e}", flush=True)
            require(difference < F16 * scale, f"{task}: {name} and PEFT differ by {difference}")
        steps = {"PEFT": greedy.last_logits(adapted), "the merged model": greedy.last_logits(merged), "llama.cpp": llama.last_logits}
        prompts = [tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True,
                                                 return_dict=True)["input_ids"] for text in texts]
        compare_answers(place, steps, tokenizer, task, texts, prompts, 2 * F16 * scale, lead=" ")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run_checks(__doc__, {**{family: functools.partial(check_family, family=family) for family in FAMILIES},
                         "demo": check_demo})
