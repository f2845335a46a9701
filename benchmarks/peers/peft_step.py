"""Times fine-tuning steps of PyTorch + transformers + PEFT on a workload: what `moelora bench train` is compared with.

  python benchmarks/peers/peft_step.py --workload benchmarks/workloads/ragged.jsonl --dtype bf16 --batching sorted --batch-size 4

--method    peft-lora     plain LoRA on every linear of every block, by PEFT
            expert-loop   MOELoRA as its reference runs it: N experts in a Python loop inside each linear, weighed by a task gate
--batching  padded        random batches padded to their longest sample, the Trainer's default
            sorted        samples of like length together (group_by_length), the peer's best setting on a CPU
Prints one JSON line: useful (unpadded) tokens a second, seconds a step, peak RSS, mean loss.

--dump DIR  writes one step for another program to repeat, and ends: DIR/base (a Hugging Face model, random weights), DIR/adapter (PEFT, B drawn from
            N(0, 0.02²) so that every gradient is non-zero), DIR/batch.jsonl (a sample a line: token ids, number of prompt tokens, task),
            DIR/step1.json (its loss) and DIR/gradients.safetensors (of every adapter tensor).
"""
import argparse
import json
import pathlib
import resource
import time

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, Qwen2Config

SHAPES = {
    "qwen2.5-0.5b": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
                         vocab_size=151936, tie_word_embeddings=True),
    "qwen2.5-1.5b": dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2,
                         vocab_size=151936, tie_word_embeddings=True),
    "tiny": dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4,
                 vocab_size=4096, tie_word_embeddings=True),
}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class ExpertLoopLinear(nn.Module):
    """One adapted linear whose experts run one after another."""

    def __init__(self, base, options, weights):
        super().__init__()
        self.base, self.scale, self.weights = base, 2.0, weights
        self.dropout = nn.Dropout(options.dropout)
        rank = options.rank // options.experts
        self.down = nn.ModuleList(nn.Linear(base.in_features, rank, bias=False) for _ in range(options.experts))
        self.up = nn.ModuleList(nn.Linear(rank, base.out_features, bias=False) for _ in range(options.experts))
        for up in self.up:
            nn.init.zeros_(up.weight)

    def forward(self, x):
        y, wide = self.base(x), x.to(self.down[0].weight.dtype)
        shares = self.weights[0].unsqueeze(1)  # [batch, 1, experts]
        for i, (down, up) in enumerate(zip(self.down, self.up)):
            y = y + (self.scale * shares[..., i:i + 1] * up(down(self.dropout(wide)))).to(y.dtype)
        return y


def batches(rows, options, vocabulary):
    """(ids, mask, labels, tasks, useful tokens) of one step after another."""
    draw = torch.Generator().manual_seed(0)
    order = torch.randperm(len(rows), generator=draw).tolist()
    if options.batching == "sorted":
        order.sort(key=lambda i: rows[i]["prompt"] + rows[i]["answer"])
    groups = [order[i:i + options.batch_size] for i in range(0, len(order), options.batch_size)]
    if options.batching == "sorted":
        groups = [groups[i] for i in torch.randperm(len(groups), generator=draw).tolist()]
    tasks = sorted({row["task"] for row in rows})
    for group in groups:
        lengths = [rows[i]["prompt"] + rows[i]["answer"] for i in group]
        ids = torch.zeros(len(group), max(lengths), dtype=torch.long)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for k, (i, length) in enumerate(zip(group, lengths)):
            ids[k, :length] = torch.randint(0, vocabulary, (length,), generator=draw)
            mask[k, :length] = 1
            labels[k, rows[i]["prompt"]:length] = ids[k, rows[i]["prompt"]:length]
        yield ids, mask, labels, torch.tensor([tasks.index(rows[i]["task"]) for i in group]), int(mask.sum())


def adapt(model, options):
    """(model, trainable parameters, gate or None, the gate's slot)"""
    if options.method == "peft-lora":
        model = get_peft_model(model, LoraConfig(r=options.rank, lora_alpha=2 * options.rank, lora_dropout=options.dropout, target_modules=LINEARS, task_type="CAUSAL_LM"))
        return model, [p for p in model.parameters() if p.requires_grad], None, None
    model.requires_grad_(False)
    weights = [None]
    for block in model.model.layers:
        for parent in (block.self_attn, block.mlp):
            for name in LINEARS:
                if hasattr(parent, name):
                    setattr(parent, name, ExpertLoopLinear(getattr(parent, name), options, weights))
    gate = nn.Sequential(nn.Embedding(8, 64), nn.Linear(64, options.experts, bias=False), nn.Softmax(-1))
    return model, [p for p in model.parameters() if p.requires_grad] + list(gate.parameters()), gate, weights


def write_base_and_adapter(model, folder):
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder / "adapter")
    base = model.get_base_model()
    base.save_pretrained(folder / "base", state_dict={k.replace(".base_layer", ""): v for k, v in base.state_dict().items() if "lora_" not in k})


def write_step(model, batch, loss, options):
    ids, mask, labels, tasks, useful = batch
    gradients = {name: p.grad.contiguous() for name, p in model.named_parameters() if p.grad is not None}
    save_file(gradients, options.dump / "gradients.safetensors")
    (options.dump / "step1.json").write_text(json.dumps({"loss": loss.item(), "dtype": options.dtype, "tokens": useful}))
    with open(options.dump / "batch.jsonl", "w") as out:
        for row, seen, label, task in zip(ids, mask, labels, tasks):
            length = int(seen.sum())
            out.write(json.dumps({"ids": row[:length].tolist(), "prompt": length - int((label != -100).sum()), "task": int(task)}) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--workload", type=pathlib.Path, required=True)
    parser.add_argument("--method", choices=["peft-lora", "expert-loop"], default="peft-lora")
    parser.add_argument("--dtype", choices=["f32", "bf16", "autocast"], default="f32")
    parser.add_argument("--batching", choices=["padded", "sorted"], default="padded")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.0, help="of the adapters' inputs; each expert of the loop draws its own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile the model; give --warmup 2 on ragged workloads")
    parser.add_argument("--dump", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = Qwen2Config(**SHAPES[options.model], max_position_embeddings=4096)
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    model, trainable, gate, weights = adapt(model, options)
    if options.dump:
        write_base_and_adapter(model, options.dump)
    optimizer = torch.optim.AdamW(trainable, lr=2e-4, weight_decay=0.0)
    model.train()
    run = torch.compile(model, dynamic=options.batching != "padded") if options.compile else model
    rows = [json.loads(line) for line in options.workload.read_text().splitlines()]
    useful = padded = 0
    seconds, losses = 0.0, []
    for step, batch in enumerate(batches(rows, options, config.vocab_size)):
        if step >= options.warmup + options.steps:
            break
        ids, mask, labels, tasks, count = batch
        start = time.perf_counter()
        if gate:
            weights[0] = gate(tasks)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "autocast"):
            loss = run(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        if options.dump:
            write_step(model, batch, loss, options)
            return
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= options.warmup:
            seconds += time.perf_counter() - start
            useful += count
            padded += ids.numel()
            losses.append(loss.item())
    print(json.dumps({"model": options.model, "workload": options.workload.stem, "method": options.method, "dtype": options.dtype,
                      "batching": options.batching, "compiled": options.compile, "batch_size": options.batch_size,
                      "tokens_per_s": round(useful / seconds, 1), "seconds_per_step": round(seconds / options.steps, 3),
                      "useful_share": round(useful / padded, 3),
                      "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
                      "mean_loss": round(sum(losses) / len(losses), 4)}), flush=True)


if __name__ == "__main__":
    main()
