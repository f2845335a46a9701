"""Trains a model of Qwen2.5-0.5B's shape on ragged lengths within 8 GiB, exports it, and has PEFT give the same logits.

  python tests/interop/qwen_shaped_check.py --program moelora --run-logits run_logits [--steps 10] [--keep DIR]

Random weights, the real tokenizer, the lengths and tasks of benchmarks/workloads/ragged.jsonl. Ends with 1 where training takes more memory,
or where PEFT's logits differ by more than 1e-4 (float32), or by 2e-2 of
their norm (bfloat16; PEFT computes in float32 both times).
"""
import argparse
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile

import tokenizers
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIB = 2**30
CONFIG = """model: {model}
output: {output}
data: {{sources: [{data}], max_length: 1300}}
adapter: {{method: moelora, experts: 8, rank: 16, alpha: 32}}
train: {{max_steps: {steps}, batch_size: 8, tokens_per_batch: 2048, learning_rate: 5.0e-3, dtype: bfloat16}}
"""


def run(*command):
    print("+", *map(str, command), flush=True)
    subprocess.run(list(map(str, command)), check=True)


def words(tokenizer):
    """Words of one token each, whatever stands before them."""
    return [token[1:] for token in tokenizer.get_vocab() if re.fullmatch("Ġ[a-z]{3,8}", token)]


def write_data(folder, tokenizer, rows):
    draw = random.Random(7)
    vocabulary = sorted(words(tokenizer))
    files = {}
    for row in rows:
        prompt, answer = (" ".join(draw.choices(vocabulary, k=row[part])) for part in ("prompt", "answer"))
        files.setdefault(row["task"], []).append({"prompt": prompt, "completion": " " + answer})
    for task, lines in files.items():
        path = folder / task / "train.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--run-logits", required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--keep", type=pathlib.Path, help="work here and leave everything")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(exist_ok=True)
        model, output = folder / "model", folder / "run"
        # Small first: a parent's own peak would count as its children's.
        rows = [json.loads(line) for line in open(ROOT / "benchmarks/workloads/ragged.jsonl")][: 8 * options.steps]
        write_data(folder / "data", tokenizers.Tokenizer.from_file(str(ROOT / ".deps/tokenizers/qwen3/tokenizer.json")), rows)
        (folder / "config.yaml").write_text(CONFIG.format(model=model, output=output, data=folder / "data", steps=options.steps))
        run(sys.executable, "-B", ROOT / "tests/fixtures/qwen_shaped.py", model)

        train = subprocess.Popen([options.program, "train", str(folder / "config.yaml"), "-q"])
        _, status, usage = os.wait4(train.pid, 0)
        train.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * 1024
        print(json.dumps({"train": train.returncode, "peak_rss_gib": round(peak / GIB, 2), "seconds": round(usage.ru_utime + usage.ru_stime, 1)}), flush=True)
        if train.returncode != 0 or peak > 8 * GIB:
            sys.exit("training failed, or took more than 8 GiB")

        run(options.program, "export", output, "--task", "report", "--to", folder / "peft")
        draw = torch.Generator().manual_seed(3)
        lengths = torch.tensor([0, 37, 12, 51])
        save_file({"ids": torch.randint(0, 150000, (int(lengths.sum()),), generator=draw), "cu_seqlens": lengths.cumsum(0)}, folder / "prompts.safetensors")
        # bfloat16 against PEFT in float32: PEFT's own bfloat16 is as far from that as ours, and the worst of fifteen million logits says little.
        for dtype, tolerance in (("float32", ["--tolerance", 1e-4]), ("bfloat16", ["--tolerance", 0.2, "--share-of-effect", 1, "--relative-tolerance", 2e-2])):
            run(options.run_logits, output, model, "report", folder / "prompts.safetensors", folder / "logits.safetensors", dtype)
            run(sys.executable, "-B", ROOT / "tests/interop/check_peft.py", "--base", model, "--adapter", folder / "peft/report", "--prompts", folder / "prompts.safetensors",
                "--logits", folder / "logits.safetensors", "--dtype", "float32", *tolerance)


if __name__ == "__main__":
    main()
