"""Times transformers' greedy generate() on a batch of random prompts: what `moelora bench generate` is compared with.

  python benchmarks/peers/transformers_generate.py --model build/qwen-shaped --batch-size 8 --prompt-tokens 128 --new-tokens 32 [--peft]

--peft  a LoRA of r = 16 on every linear for each sequence, all in one batch by PEFT's `adapter_names`
Prints one JSON line: tokens a second of reading the prompts (a generate() that writes one token), and of writing those after it.
"""
import argparse
import json
import pathlib
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapted(model, count):
    """A LoRA for each sequence, B drawn so that none is idle, and the names that choose them."""
    names = [f"task{i}" for i in range(count)]
    config = LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS, task_type="CAUSAL_LM")
    model = get_peft_model(model, config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    return model.to(torch.bfloat16), {"adapter_names": names}


def seconds_of(model, ids, new_tokens, extra):
    start = time.perf_counter(), time.process_time()
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, min_new_tokens=new_tokens,
                         do_sample=False, pad_token_id=0, **extra)
    assert out.shape[1] == ids.shape[1] + new_tokens
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peft", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    ids = torch.randint(0, model.config.vocab_size, (options.batch_size, options.prompt_tokens))
    extra = {}
    if options.peft:
        model, extra = adapted(model, options.batch_size)
        model.eval()
    with torch.inference_mode():
        seconds_of(model, ids[:, :8], 2, extra)
        prefill = [min(times) for times in zip(*(seconds_of(model, ids, 1, extra) for _ in range(2)))]
        both = seconds_of(model, ids, options.new_tokens, extra)
    read, written = ids.numel(), options.batch_size * (options.new_tokens - 1)
    print(json.dumps({"program": "peft" if options.peft else "transformers", "batch_size": options.batch_size,
                      "prefill_tokens_per_s": read / prefill[0], "decode_tokens_per_s": written / (both[0] - prefill[0]),
                      "prefill_tokens_per_cpu_s": read / prefill[1], "decode_tokens_per_cpu_s": written / (both[1] - prefill[1])}), flush=True)


if __name__ == "__main__":
    main()
