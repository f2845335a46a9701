"""Adapters that other programs wrote: a checkpoint of the public MOELoRA code becomes a run with the same logits, hostile ones
are refused without anything being run, and a plain LoRA starts a run as the shared part or as one expert.

  python tests/cli/import_checkpoints.py --program PATH --fixtures FOLDER --run-logits PATH [--only PART_OF_A_NAME]
"""
import io
import json
import pathlib
import pickle
import subprocess
import sys
import zipfile

import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))
import published  # noqa: F401  its classes, for AutoModelForCausalLM
from checks import require, run_checks
from safetensors.torch import load_file, save_file

RANK, EXPERTS, ALPHA, SIZE = 8, 4, 16.0, 6
TASKS = {"colour": 2, "echo": 0}  # their ids in the checkpoint


def load_base(directory):
    return transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def linears(model):
    return {name: module for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name not in ("lm_head", "transformer.output_layer")}


def checkpoint(model, generator, dtype=torch.float32):
    """What the public code saves of random experts and a shared gate, each expert under two names, and unused gates of the layers."""
    def draw(*shape, scale=0.1):
        return (scale * torch.randn(shape, generator=generator)).to(dtype)

    state = {"lora_task_embedding.weight": draw(4, SIZE, scale=1), "lora_gate.GateL.weight": draw(EXPERTS, SIZE, scale=1)}
    for name, linear in linears(model).items():
        path = f"base_model.model.{name}"
        state[f"{path}.lora_task_embedding.weight"] = draw(4, SIZE, scale=1)
        state[f"{path}.lora_gate.GateL.weight"] = draw(EXPERTS, SIZE, scale=1)
        for half, list_name, shape in (("lora_A", "loraA", (RANK // EXPERTS, linear.in_features)),
                                       ("lora_B", "loraB", (linear.out_features, RANK // EXPERTS))):
            for n in range(EXPERTS):
                weight = draw(*shape)
                state[f"{path}.{half}.{list_name}.{n}.mlp.weight"] = weight
                state[f"{path}.{half}.{list_name}.{n}.weight"] = weight
    return state


def configuration(**changes):
    return {"peft_type": "MMOELORAS", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.1, "bias": "none",
            "fan_in_fan_out": False, "target_modules": ["q_proj"], "task_num": 3, "task_embedding_dim": SIZE, "expert_num": EXPERTS,
            "inference_mode": True, "modules_to_save": None, "base_model_name_or_path": "somewhere", **changes}


def write_checkpoint(place, state, name="saved", **changes):
    place.write(f"{name}/adapter_config.json", json.dumps(configuration(**changes)))
    torch.save(state, place.path / name / "adapter_model.bin")
    return place.path / name


def oracle_logits(model, state, task_id, ids, cu_seqlens):
    """The published layer, expert by expert: y + alpha / r * sum of w_n B_n A_n x, w = softmax(W_g E_t)."""
    gate = torch.softmax(state["lora_gate.GateL.weight"].float() @ state["lora_task_embedding.weight"][task_id].float(), dim=0)
    handles = []
    for name, linear in linears(model).items():
        path = f"base_model.model.{name}"

        def add(module, inputs, output, path=path):
            for n in range(EXPERTS):
                a = state[f"{path}.lora_A.loraA.{n}.mlp.weight"].float()
                b = state[f"{path}.lora_B.loraB.{n}.mlp.weight"].float()
                output = output + ALPHA / RANK * gate[n] * (inputs[0] @ a.T @ b.T)
            return output

        handles.append(linear.register_forward_hook(add))
    with torch.no_grad():
        logits = [model(input_ids=ids[None, begin:end], use_cache=False).logits[0]
                  for begin, end in zip(cu_seqlens.tolist(), cu_seqlens.tolist()[1:])]
    for handle in handles:
        handle.remove()
    return torch.cat(logits)


def our_logits(place, run, task, prompts):
    out = place.path / f"{run}-{task}.safetensors"
    subprocess.run([place.run_logits, place.path / run, place.model, task, prompts, out, "float32"], check=True, env=place.environment())
    return load_file(out)["logits"].float()


def task_flags():
    return [part for task, number in TASKS.items() for part in ("--task", f"{task}={number}")]


def gives_the_same_logits_on_chatglm(place, fixtures):
    """The base that the public code is for, with its fused q, k and v."""
    place.model = pathlib.Path(fixtures).resolve() / "chatglm/f32"
    names = {name.rsplit(".", 1)[1] for name in linears(load_base(place.model))}
    require(names == {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}, f"the published names: {names}")
    gives_the_same_logits(place, fixtures)


def gives_the_same_logits(place, _):
    torch.manual_seed(0)
    model = load_base(place.model)
    generator = torch.Generator().manual_seed(3)
    prompts = place.path / "prompts.safetensors"
    ids = torch.randint(10, 100, (13,), generator=generator)
    cu_seqlens = torch.tensor([0, 5, 13])
    save_file({"ids": ids, "cu_seqlens": cu_seqlens}, prompts)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        name = str(dtype).rsplit(".", 1)[1]
        state = checkpoint(model, generator, dtype)
        saved = write_checkpoint(place, state, f"saved-{name}")
        place.write_config(place.config())
        place.run_well("import", saved, "run.yaml", f"--output=run-{name}", *task_flags())
        for task, number in TASKS.items():
            expected = oracle_logits(model, state, number, ids, cu_seqlens)
            difference = (our_logits(place, f"run-{name}", task, prompts) - expected).abs().max().item()
            with torch.no_grad():
                effect = (expected[:5] - model(input_ids=ids[None, :5]).logits[0]).abs().max().item()
            require(effect > 0.03, f"{name}, {task}: the adapter changes the logits by {effect}")
            require(difference <= 1e-5, f"{name}, {task}: logits differ by {difference}")


def is_a_run_like_any_other(place, _):
    model = load_base(place.model)
    state = checkpoint(model, torch.Generator().manual_seed(5))
    saved = write_checkpoint(place, state)
    place.write_config(place.config())
    place.run_well("import", saved, "run.yaml", *task_flags())
    weights = json.loads(place.run_well("gates", "out", "--json"))
    require(weights["tasks"] == ["colour", "echo"], f"{weights['tasks']}")
    gate = state["lora_gate.GateL.weight"].double()
    for task, row in zip(weights["tasks"], weights["gates"][0]["weights"]):
        expected = torch.softmax(gate @ state["lora_task_embedding.weight"][TASKS[task]].double(), dim=0)
        require((torch.tensor(row) - expected).abs().max() < 1e-6, f"{task}: gate {row}, expected {expected}")
    place.run_well("eval", "out")
    place.run_well("export", "out", "--to", "loras")
    lora = load_file(place.path / "loras/echo/adapter_model.safetensors")
    path = "model.layers.0.self_attn.q_proj"
    w = torch.softmax(gate @ state["lora_task_embedding.weight"][TASKS["echo"]].double(), dim=0)
    expected = sum(ALPHA / RANK * w[n] * state[f"base_model.model.{path}.lora_B.loraB.{n}.mlp.weight"].double()
                   @ state[f"base_model.model.{path}.lora_A.loraA.{n}.mlp.weight"].double() for n in range(EXPERTS))
    ours = lora[f"base_model.model.{path}.lora_B.weight"].double() @ lora[f"base_model.model.{path}.lora_A.weight"].double()
    require((ours - expected).abs().max() < 1e-5, "the exported LoRA is the checkpoint's update")
    config = place.config()
    config["adapter"].update({"rank": RANK, "experts": EXPERTS, "alpha": ALPHA, "gate": {"embedding_size": SIZE}})
    place.write_config(config, "more.yaml")
    place.run_well("train", "more.yaml", "--output=more", "--adapter.start=out", "--quiet")


class Call:
    """Something that a careless reader runs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def rewritten(saved, change):
    """The .bin with data.pkl as `change` makes it of it."""
    with zipfile.ZipFile(saved) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)
    return out.getvalue()


def hostile_files_are_refused(place, _):
    state = checkpoint(load_base(place.model), torch.Generator().manual_seed(5))
    saved = write_checkpoint(place, state)
    weights = saved / "adapter_model.bin"
    good = weights.read_bytes()
    place.write_config(place.config())
    touched = place.path / "touched"

    def refused(what, data, expected, code=5):
        weights.write_bytes(data)
        process = place.run("import", saved, "run.yaml", *task_flags())
        require(process.returncode == code and expected in process.stderr, f"{what}: {process.returncode}\n{process.stderr}")
        require(not touched.exists(), f"{what}: it was run")
        require(not (place.path / "out").exists(), f"{what}: something was left")

    def saved_as(value):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    refused("a call", rewritten(weights, lambda _: pickle.dumps({"w": Call(touched)}, protocol=2)), "isn't part of a tensor")
    refused("the same with a later protocol", rewritten(weights, lambda _: pickle.dumps(Call(touched), protocol=4)), "isn't part of a tensor")
    refused("not a dictionary", saved_as([torch.zeros(2)]), "operation")
    refused("whole numbers", saved_as({"w": torch.zeros(2, dtype=torch.int64)}), "isn't part of a tensor")
    refused("a tensor of another kind", saved_as(state | {"base_model.model.x.weight": torch.zeros(2)}), "not a tensor of a MOELoRA")
    refused("an old pickle without a zip around it", pickle.dumps({}, protocol=2), "not a zip file")
    refused("a text", b"hello", "not a zip file")
    refused("nothing", b"", "adapter_model.bin")
    for length in (10, len(good) // 2, len(good) - 1):
        refused(f"cut off after {length} bytes", good[:length], "adapter_model.bin")
    at = good.index(b"\x50\x4b\x03\x04", 2000) - 200  # within a tensor's bytes
    refused("a changed byte", good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], "CRC-32")
    compressed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as archive, zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as other:
        for info in archive.infolist():
            other.writestr(info.filename, archive.read(info))
    refused("a compressed archive", compressed.getvalue(), "compressed")
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    without = {name: tensor for name, tensor in state.items() if not name.startswith(f"{layer}.lora_A.loraA.1.")}
    refused("a missing expert", saved_as(without), "expert 1 is missing")
    refused("no experts of a linear", saved_as({n: t for n, t in state.items() if not n.startswith(layer)}), "q_proj")
    refused("another width", saved_as(state | {f"{layer}.lora_B.loraB.0.mlp.weight": torch.zeros(7, 2)}), "doesn't fit")
    refused("an expert too many", saved_as(state | {f"{layer}.lora_B.loraB.9.mlp.weight": torch.zeros(7, 2)}), "doesn't have")
    refused("no gate", saved_as({n: t for n, t in state.items() if n != "lora_gate.GateL.weight"}), "missing")

    for what, changes, expected in (("another kind", {"peft_type": "LORA"}, "MMOELORAS"), ("a rank that doesn't divide", {"r": 6}, "divide"),
                                    ("transposed weights", {"fan_in_fan_out": True}, "fan_in_fan_out"),
                                    ("no experts", {"expert_num": 0}, "expert_num"), ("biases", {"bias": "all"}, "bias")):
        place.write("saved/adapter_config.json", json.dumps(configuration(**changes)))
        refused(what, good, expected)
    place.write("saved/adapter_config.json", json.dumps(configuration()))
    for flags, expected in ((["--task", "colour=2"], "no id is given for task `echo`"), (["--task", "colour=2", "--task", "echo=9"], "0 to 3"),
                            ([*task_flags(), "--task", "ecko=1"], "echo"), (["--task", "colour"], "NAME=ID")):
        process = place.run("import", saved, "run.yaml", *flags)
        require(process.returncode == 2 and expected in process.stderr, f"{flags}: {process.stderr}")
    place.run_well("import", saved, "run.yaml", *task_flags())
    process = place.run("import", saved, "run.yaml", *task_flags())
    require(process.returncode == 7 and "exists already" in process.stderr, process.stderr)


def updates(lora):
    """{module: B A} of a PEFT directory with alpha = r."""
    tensors = load_file(lora / "adapter_model.safetensors")
    config = json.loads((lora / "adapter_config.json").read_text())
    require(config["lora_alpha"] == config["r"], "alpha is the rank")
    names = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    return {name: tensors[f"{name}.lora_B.weight"].double() @ tensors[f"{name}.lora_A.weight"].double() for name in names}


def a_plain_lora_starts_a_run(place, _):
    config = place.config()
    config["adapter"] = {"method": "lora", "rank": 4, "alpha": 6}
    config["train"]["learning_rate"] = 0.05
    place.write_config(config, "first.yaml")
    place.run_well("train", "first.yaml", "--output=first", "--quiet")
    place.run_well("export", "first", "--to", "loras")
    given = updates(place.path / "loras/echo")
    require(max(update.abs().max() for update in given.values()) > 1e-3, "the LoRA changes something")
    # A rate so small that nothing moves: what is exported is the start.
    starts = {"lora": ({"method": "lora", "rank": 4, "alpha": 16}, lambda weights: 1.0),
              "spread": ({"method": "uniform", "rank": 4, "experts": 2, "alpha": 3}, lambda weights: 1.0),
              "one expert": ({"method": "uniform", "rank": 8, "experts": 2, "alpha": 16}, lambda weights: 1.0),
              "one of moelora": ({"method": "moelora", "rank": 8, "experts": 2, "alpha": 16}, lambda weights: 2 * weights[0]),
              "mean one": ({"method": "moelora", "rank": 8, "experts": 2, "alpha": 16, "gate": {"normalise": "mean_one"}},
                           lambda weights: weights[0])}
    for name, (adapter, factor) in starts.items():
        config = place.config()
        config["adapter"] = {**adapter, "start": "loras/echo"}
        config["train"].update({"max_steps": 1, "learning_rate": 1e-30})
        place.write_config(config, "second.yaml")
        run = name.replace(" ", "-")
        place.run_well("train", "second.yaml", f"--output={run}", "--quiet")
        place.run_well("export", run, "--to", f"{run}-loras")
        gates = json.loads(place.run_well("gates", run, "--json"))
        for task, weights in zip(gates["tasks"], gates["gates"][0]["weights"]):
            ours = updates(place.path / f"{run}-loras" / task)
            require(ours.keys() == given.keys(), f"{name}: other linears")
            for module, update in given.items():
                difference = (ours[module] - factor(weights) * update).abs().max()
                require(difference < 1e-6, f"{name}, {task}, {module}: the update differs by {difference}")

    def refused(expected, code, **adapter):
        config = place.config()
        config["adapter"] = {"start": "loras/echo", **adapter}
        place.write_config(config, "refused.yaml")
        process = place.run("train", "refused.yaml", "--output=refused")
        require(process.returncode == code and expected in process.stderr, f"{adapter}: {process.returncode}\n{process.stderr}")

    refused("another rank", 3, method="lora", rank=8)
    refused("made of several runs", 3, method="lora_per_task", rank=4)
    refused("no such linear", 5, method="lora", rank=4, targets=["q_proj"])


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    run_checks(__doc__, {check.__name__: check for check in (
        gives_the_same_logits, gives_the_same_logits_on_chatglm, is_a_run_like_any_other, hostile_files_are_refused, a_plain_lora_starts_a_run)})
