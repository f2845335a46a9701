"""Times llama.cpp's prebuilt library on a batch of random prompts: what `moelora bench generate` is compared with.

  python benchmarks/peers/llama_cpp_generate.py --model build/qwen-shaped --kind bf16 --batch-size 8 --prompt-tokens 128 --new-tokens 32

The model is converted once, to <model>-<kind>.gguf beside it. Prompts are read in one batch of all sequences; every step then writes the
best token of each. Prints one JSON line: tokens a second of both.
"""
import argparse
import ctypes
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

import numpy
import transformers  # noqa: F401: before the converter's stand-ins for packages it looks for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/interop"))
import llama_cpp  # noqa: E402


def gguf_of(model, kind):
    path = model.with_name(f"{model.name}-{kind}.gguf")
    if path.exists():
        return path
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        copy = pathlib.Path(folder) / "model"
        shutil.copytree(model, copy, copy_function=lambda source, target: pathlib.Path(target).symlink_to(pathlib.Path(source).resolve()))
        config = json.loads((copy / "config.json").read_text())
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]  # as transformers 4 wrote it, which the converter reads
        (copy / "config.json").unlink()
        (copy / "config.json").write_text(json.dumps(config))
        unfinished = pathlib.Path(folder) / "model.gguf"
        llama_cpp.convert(copy, unfinished, kind)
        unfinished.rename(path)
    return path


class Batched(llama_cpp.LlamaCpp):
    """Several sequences at once, each with room for `length` tokens."""

    def __init__(self, base, vocabulary, sequences, length, threads):
        self.llama = llama_cpp.library()
        self.vocabulary = vocabulary
        self.model = self.require(self.llama.llama_model_load_from_file(str(base).encode(), self.llama.llama_model_default_params()), base)
        parameters = self.llama.llama_context_default_params()
        total = sequences * length
        for field, value in enumerate((total, total, 512, sequences)):  # n_ctx, n_batch, n_ubatch (its default), n_seq_max
            parameters.words[field] = value
        self.context = self.require(self.llama.llama_init_from_model(self.model, parameters), "context")
        self.llama.llama_set_n_threads(self.context, threads, threads)

    def step(self, tokens, positions):
        """tokens[s] of each sequence from positions[s] on; the best token after the last of each."""
        count = sum(map(len, tokens))
        ids, places, owners, wanted = [], [], [], []
        for s, own in enumerate(tokens):
            ids += own
            places += range(positions[s], positions[s] + len(own))
            owners += [s] * len(own)
            wanted += [0] * (len(own) - 1) + [1]
        kept = [(ctypes.c_int32 * 1)(s) for s in owners]
        sequences = (ctypes.POINTER(ctypes.c_int32) * count)(*[ctypes.cast(one, ctypes.POINTER(ctypes.c_int32)) for one in kept])
        batch = llama_cpp.Batch(count, (ctypes.c_int32 * count)(*ids), None, (ctypes.c_int32 * count)(*places),
                                (ctypes.c_int32 * count)(*[1] * count), sequences, (ctypes.c_int8 * count)(*wanted))
        self.require(self.llama.llama_decode(self.context, batch) == 0, "the batch")
        logits = numpy.ctypeslib.as_array(self.llama.llama_get_logits(self.context), shape=(len(tokens), self.vocabulary))
        return logits.argmax(axis=1).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--kind", choices=["bf16", "f16"], default="bf16")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    vocabulary = json.loads((options.model / "config.json").read_text())["vocab_size"]
    length = -(-(options.prompt_tokens + options.new_tokens) // 32) * 32
    model = Batched(gguf_of(options.model, options.kind), vocabulary, options.batch_size, length, options.threads)
    draw = random.Random(0)
    prompts = [[draw.randrange(vocabulary) for _ in range(options.prompt_tokens)] for _ in range(options.batch_size)]
    model.step([prompt[:8] for prompt in prompts], [0] * options.batch_size)
    model.llama.llama_memory_clear(model.llama.llama_get_memory(model.context), True)
    start = time.perf_counter(), time.process_time()
    best = model.step(prompts, [0] * options.batch_size)
    middle = time.perf_counter(), time.process_time()
    for position in range(options.prompt_tokens, options.prompt_tokens + options.new_tokens - 1):
        best = model.step([[token] for token in best], [position] * options.batch_size)
    end = time.perf_counter(), time.process_time()
    read, written = options.batch_size * options.prompt_tokens, options.batch_size * (options.new_tokens - 1)
    print(json.dumps({"program": f"llama.cpp {options.kind}", "batch_size": options.batch_size,
                      "prefill_tokens_per_s": read / (middle[0] - start[0]), "decode_tokens_per_s": written / (end[0] - middle[0]),
                      "prefill_tokens_per_cpu_s": read / (middle[1] - start[1]),
                      "decode_tokens_per_cpu_s": written / (end[1] - middle[1])}), flush=True)


if __name__ == "__main__":
    main()
