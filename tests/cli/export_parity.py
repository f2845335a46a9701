"""What transformers (merged), PEFT and llama.cpp (GGUF) make of exported directories: the run's own logits, and the answers of
`moelora generate`, token for token, for every family and the demo's model.

  python tests/cli/export_parity.py --program PATH --run-logits PATH --fixtures FOLDER [--only PART_OF_A_NAME]

Tolerances of logits are 1e-4 in float32 and 2e-2 in llama.cpp, whose base is in F16; an adapter's own effect is a hundred
times the larger at least. An answer is compared up to the first place whose two best logits lie within twice the tolerance:
there either token may come. The demo's model is in bfloat16 and has large logits: see check_demo and check_merged_demo.
"""
import functools
import json
import pathlib
import random
import string
import subprocess
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
from export_bases import write_base
from export_runs import ICD10, SYSTEM, TASKS, make_demo_run, make_run
from workplace import jsonl

PROMPTS = 20
NEW_TOKENS = 8
F32, F16 = 1e-4, 2e-2
FORMATS = ("merged", "peft", "gguf")
FAMILIES = list(families.FAMILIES)

# llama.cpp has no window for Mistral: it computes the same for so many tokens.
LLAMA_CPP_TOKENS = {"mistral_window": 6}


def load(path):
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def our_logits(place, base, task, ids):
    """The run's, in float32 over `base`; without a task: the base's own."""
    prompts, out = place.path / "prompts.safetensors", place.path / "logits.safetensors"
    save_file({"ids": torch.tensor(ids), "cu_seqlens": torch.tensor([0, len(ids)])}, prompts)
    subprocess.run([place.run_logits, place.path / "run", base, task, prompts, out, "float32"], check=True, env=place.environment())
    return load_file(out)["logits"].clone()  # the file, which is mapped, is written again


def require_near(what, a, b, tolerance):
    difference = (a - b).abs().max().item()
    require(difference < tolerance, f"{what} differ by {difference}, more than {tolerance}")
    return f"{what} {difference:.1e}"


def require_effect(task, ours, base):
    effect = (ours - base).abs().max().item()
    require(effect > 100 * F16, f"{task}: the adapter changes the logits only by {effect}")
    return f"effect {effect:.1f}"


def export(place):
    for name in FORMATS:
        printed = place.run_well("export", "run", "--to", name, "--format", name, "--all-tasks", "--check")
        require(printed.count("read back") == 3, f"three directories were checked: {printed}")


def our_answers(place, task, prompts):
    """Of each prompt: the answer's text, its tokens, and how far the two best logits lie apart in each place."""
    flags = [flag for prompt in prompts for flag in ("--prompt", prompt)]
    printed = place.run_well("generate", "run", "--task", task, "--max-new-tokens", NEW_TOKENS, "--json", "--logprobs", 2, *flags)
    answers = []
    for answer in map(json.loads, printed.splitlines()):
        places = answer["logprobs"]
        require(all(one["id"] == one["top"][0]["id"] for one in places), f"{task}: the most probable tokens: {answer}")
        distances = [one["top"][0]["logprob"] - one["top"][1]["logprob"] for one in places]
        answers.append((answer["answer"], [one["id"] for one in places], distances))
    return answers


def compare_answers(place, engines, tokenizer, task, prompts, ids, lead=""):
    """`engines`: {name: (last logits of sequences, tolerance of logits, the least share of tokens to compare)}. They answer
    `prompts`, whose token ids are `ids`, as the program does. `lead` is what its template puts before an answer."""
    ours = our_answers(place, task, prompts)
    require(len(set(text for text, _, _ in ours)) > 2, f"{task}: answers differ from each other: {ours}")
    for text, tokens, _ in ours:
        decoded = tokenizer.decode(tokens, skip_special_tokens=True).removeprefix(lead)
        require(text == decoded, f"{task}: the text of {tokens} is {decoded!r}, the program's {text!r}")
    said = []
    for name, (step, tolerance, share) in engines.items():
        compared = 0
        for prompt, (_, tokens, distances), theirs in zip(prompts, ours, greedy.answers(step, ids, tokenizer.eos_token_id, NEW_TOKENS)):
            sure = next((i for i, distance in enumerate(distances) if distance <= 2 * tolerance), len(tokens))
            require(theirs[:sure] == tokens[:sure], f"{task}: to {prompt!r} {name} answers {theirs}, the program {tokens}, "
                    f"whose best tokens lie {distances} apart")
            compared += sure
        total = sum(len(tokens) for _, tokens, _ in ours)
        require(compared >= share * total, f"{task}: only {compared} of {total} tokens were compared with {name}")
        said.append(f"{name} {compared}")
    return f"of {total} tokens as {', '.join(said)}"


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
    write_base(pathlib.Path(fixtures).resolve(), family, place.model)
    draw = random.Random(family)
    make_random_run(place, draw, alpha=6 if family == "baichuan2" else 24)  # 32 layers add up to more
    export(place)
    require_copied(place)
    gguf = place.path / "base.gguf"
    llama_cpp.convert(place.model, gguf, "f16")
    tokenizer = transformers.AutoTokenizer.from_pretrained(place.model)
    probe = list(range(3, 40))
    within = LLAMA_CPP_TOKENS.get(family, len(probe))
    base = our_logits(place, place.model, "", probe)
    require_near("of the base: transformers", logits_of(load(place.model), probe), base, F32)
    for task in TASKS:
        merged = load(place.path / "merged" / task)
        adapted = PeftModel.from_pretrained(load(place.model), place.path / "peft" / task).eval()
        llama = llama_cpp.LlamaCpp(gguf, tokenizer.vocab_size, place.path / "gguf" / task / "adapter.gguf")
        ours = our_logits(place, place.model, task, probe)
        said = [require_effect(task, ours[:within], base[:within]),
                require_near("merged", logits_of(merged, probe), ours, F32),
                require_near("PEFT", logits_of(adapted, probe), ours, F32),
                require_near("llama.cpp", llama.logits(probe[:within]), ours[:within], F16)]
        engines = {"merged": (greedy.last_logits(merged), F32, 0.9), "PEFT": (greedy.last_logits(adapted), F32, 0.9)}
        if family not in LLAMA_CPP_TOKENS:
            engines["llama.cpp"] = (llama.last_logits, F16, 0.25)
        prompts = [f"test {task} {random_text(draw)}" for _ in range(PROMPTS)]
        ids = [tokenizer(f"{SYSTEM}\n{prompt}")["input_ids"] for prompt in prompts]
        said.append(compare_answers(place, engines, tokenizer, task, prompts, ids))
        print(f"  {family}, {task}: {', '.join(said)}", flush=True)


def require_rounded_once(merged, base, adapter):
    """Each adapted weight is W + B A, rounded once to bfloat16. In float64 beside what float32 sums may be off by, so that a value may
    only go to the other neighbour where it lies on the border between two. Returns the share of those that are float64's rounding."""
    same = adapted = 0
    for name, written in merged.items():
        path = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{path}.lora_A.weight" not in adapter:
            require(torch.equal(written, base[name]), f"{name} has no adapter and is the base's")
            continue
        a, b, w = adapter[f"{path}.lora_A.weight"].double(), adapter[f"{path}.lora_B.weight"].double(), base[name].double()
        exact = w + b @ a
        error = 2.0 ** -23 * (w.abs() + (a.shape[0] + 1) * b.abs() @ a.abs())
        lowest, highest = (exact - error).float().bfloat16(), (exact + error).float().bfloat16()
        require(((lowest <= written) & (written <= highest)).all().item(), f"{name} is rounded once")
        same += (written == exact.float().bfloat16()).sum().item()
        adapted += written.numel()
    require(adapted > 0, "linears have adapters")
    return same / adapted


def check_merged_demo(place, task, ids, ours):
    """A merged model in bfloat16 can't have the run's logits to 2e-2: they are up to 29, where one step of bfloat16 is 0.125, and its
    weights are rounded. Held instead: its weights are the exact ones, rounded once; and over those same files
    transformers and we, both in float32, have the same logits to 1e-4. To the run's they lie as 2e-2 of the largest logit."""
    folder = place.path / "merged" / task
    weights = load_file(folder / "model.safetensors")
    require(all(value.dtype == torch.bfloat16 for value in weights.values()), f"{task}: the base's dtypes")
    same = require_rounded_once(weights, load_file(ICD10 / "base_model/model.safetensors"),
                                load_file(place.path / "peft" / task / "adapter_model.safetensors"))
    merged = load(folder)
    theirs, tolerance = logits_of(merged, ids), F16 * ours.abs().max().item()
    said = [f"{100 * same:.3f} % of merged weights are float64's rounding",
            require_near("merged in both programs", theirs, our_logits(place, folder, "", ids), F32),
            require_near("merged", theirs, ours, tolerance)]
    return merged, tolerance, said


def check_demo(place, fixtures):
    """Its base is in bfloat16 on the disk, so a merged model is too. Its logits are large for llama.cpp's F16 as well, which rounds what
    it multiplies: the adapter is held to 2e-2 over the base in F32, and over F16 to 4e-3 of the largest logit."""
    base_model = ICD10 / "base_model"
    prompts = make_demo_run(place)
    export(place)
    ggufs = {kind: place.path / f"{kind}.gguf" for kind in ("f16", "f32")}
    for kind, gguf in ggufs.items():
        llama_cpp.convert(base_model, gguf, kind)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base_model)
    for task, texts in prompts.items():
        ids = [tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True)["input_ids"]
               for text in texts]
        probe = ids[0]
        ours = our_logits(place, base_model, task, probe)
        said = [require_effect(task, ours, our_logits(place, base_model, "", probe)), f"largest logit {ours.abs().max().item():.1f}"]
        adapted = PeftModel.from_pretrained(load(base_model), place.path / "peft" / task).eval()
        llamas = {kind: llama_cpp.LlamaCpp(gguf, tokenizer.vocab_size, place.path / "gguf" / task / "adapter.gguf")
                  for kind, gguf in ggufs.items()}
        said += [require_near("PEFT", logits_of(adapted, probe), ours, F32),
                 require_near("llama.cpp", llamas["f32"].logits(probe), ours, F16),
                 require_near("over F16", llamas["f16"].logits(probe), ours, F16 / 5 * ours.abs().max().item())]
        merged, tolerance, more = check_merged_demo(place, task, probe, ours)
        engines = {"PEFT": (greedy.last_logits(adapted), F32, 0.9), "llama.cpp": (llamas["f32"].last_logits, F16, 0.5),
                   "merged": (greedy.last_logits(merged), tolerance, 0.1)}
        said += [*more, compare_answers(place, engines, tokenizer, task, texts, ids, lead=" ")]
        print(f"  demo, {task}: {', '.join(said)}", flush=True)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run_checks(__doc__, {**{family: functools.partial(check_family, family=family) for family in FAMILIES},
                         "demo": check_demo})
