"""ChatGLM2 and 3 with their own tokenizer: trained, exported and asked by their own prompts, from directories as they are published
(tokenizer.model, no tokenizer.json, no chat template).

  python tests/cli/chatglm.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import functools
import pathlib
import shutil
import sys
import warnings

import torch
import transformers

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("interop", "fixtures", "text")]
import families
import greedy
from checks import require, run_checks
from sentencepiece_models import BYTES, ChatGlm2, ChatGlm3, train, write_chatglm

PROMPTS = [f"第{i}问：什么是糖尿病？ item {i}" for i in range(20)]
NEW_TOKENS = 6


def write_base(fixture, base, third):
    shutil.copytree(fixture, base)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (base / name).unlink(missing_ok=True)
    model = train(300, lines=["什么是糖尿病", "an item"], **BYTES)
    write_chatglm(base, model, third)
    return (ChatGlm3 if third else ChatGlm2)(model)


def check(place, fixtures, third):
    place.model = place.path / "base"
    oracle = write_base(pathlib.Path(fixtures).resolve() / "chatglm/f32", place.model, third)
    require(max(oracle.commands.values()) < families.VOCABULARY, "the model has an embedding for every command")
    config = place.config()
    config["data"]["max_length"] = 200
    config["train"].update({"max_steps": 2, "learning_rate": 0.02, "tokens_per_batch": 400})
    place.write_config(config)
    place.run_well("train", "run.yaml", "--quiet")
    place.run_well("export", "out", "--to", "merged", "--format", "merged", "--task", "echo", "--check")
    copied = {path.name for path in (place.path / "merged/echo").iterdir()}
    require("tokenizer.model" in copied and ("tokenization_chatglm.py" in copied) == third, f"the tokenizer is copied: {copied}")
    model = transformers.AutoModelForCausalLM.from_pretrained(place.path / "merged/echo", dtype=torch.float32).eval()
    ids = [oracle.prompt([{"role": "user", "content": prompt}]) for prompt in PROMPTS]
    # Between the prompt and the answer ChatGLM3 writes a line of its own, which isn't part of the answer.
    expected = greedy.answers(greedy.last_logits(model), ids, oracle.model.eos_id(), NEW_TOKENS)
    flags = [flag for prompt in PROMPTS for flag in ("--prompt", prompt)]
    ours = place.run_well("generate", "out", "--task", "echo", "--max-new-tokens", NEW_TOKENS, *flags)
    texts = "".join(oracle.model.decode([i for i in answer if 2 < i < oracle.model.vocab_size()]) + "\n" for answer in expected)
    require(ours == texts.replace("\r", "\n"), f"the published tokenizer's prompts give {texts!r}, the program {ours!r}")
    require(len(set(map(tuple, expected))) > 3, f"answers that differ: {expected}")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    run_checks(__doc__, {"chatglm2": functools.partial(check, third=False), "chatglm3": functools.partial(check, third=True)})
