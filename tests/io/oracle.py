"""The independent oracle of the io tests: the real safetensors, transformers and PEFT.

    oracle.py describe CONTAINER OUT     what safetensors makes of each file in a container (8-byte length, bytes; repeated)
    oracle.py every-dtype OUT            a safetensors file with a tensor of each dtype, written by the library
    oracle.py metadata FILE              the metadata of a file, as JSON
    oracle.py make-model DIR             tiny random models as transformers writes them (whole, sharded, bare, f16)
    oracle.py compare-models DIR DIR...  all load in transformers and have the same state, bit for bit
    oracle.py cached-snapshot NAME       where huggingface_hub finds a model in the local cache
    oracle.py make-adapter MODEL DIR     an adapter as PEFT writes it, and what each module's update is
    oracle.py check-adapter MODEL DIR    the adapter loads in PEFT and gives the logits of the base with B A added to its weights
"""

import json
import os
import struct
import sys
import warnings

DTYPES = [
    ("BOOL", "bool"), ("U8", "uint8"), ("I8", "int8"), ("F8_E5M2", "float8_e5m2"), ("F8_E4M3", "float8_e4m3fn"),
    ("F8_E8M0", "float8_e8m0fnu"), ("I16", "int16"), ("U16", "uint16"), ("F16", "float16"), ("BF16", "bfloat16"),
    ("I32", "int32"), ("U32", "uint32"), ("F32", "float32"), ("C64", "complex64"), ("F64", "float64"),
    ("I64", "int64"), ("U64", "uint64"),
]  # fmt: skip


def describe(container, out):
    import safetensors

    with open(container, "rb") as file, open(out, "w") as result:
        while size := file.read(8):
            data = file.read(struct.unpack("<Q", size)[0])
            try:
                tensors = safetensors.deserialize(data)
            except safetensors.SafetensorError:
                result.write("refused\n")
                continue
            parts = []
            for name, info in tensors:
                shape = ",".join(map(str, info["shape"]))
                parts.append(f"{name.encode().hex()}:{info['dtype']}:[{shape}]:{bytes(info['data']).hex()};")
            result.write("".join(sorted(parts)) + "\n")


def every_dtype(out):
    import torch
    from safetensors.torch import save_file

    tensors = {}
    for index, (name, torch_name) in enumerate(DTYPES):
        dtype = getattr(torch, torch_name)
        size = 6 * dtype.itemsize
        data = bytearray((k % 2) if name == "BOOL" else (37 * k + 11 * index + 5) % 256 for k in range(size))
        tensors["t." + name] = torch.frombuffer(data, dtype=dtype).reshape(2, 3)
    tensors["层.\"权重\"\t\\\x01/\x7f"] = torch.tensor(7, dtype=torch.uint8)
    tensors["empty"] = torch.empty(0, 5, dtype=torch.float32)
    save_file(tensors, out, metadata={"format": "pt"})


def metadata(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        print(json.dumps(file.metadata(), sort_keys=True))


def make_model(path):
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(7)
    config = Qwen3Config(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, head_dim=8, tie_word_embeddings=False, max_position_embeddings=64)  # fmt: skip
    model = Qwen3ForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(f"{path}/whole")
    model.save_pretrained(f"{path}/sharded", max_shard_size="20KB")
    model.model.save_pretrained(f"{path}/bare")
    model.half().save_pretrained(f"{path}/half")


def state_of(path):
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.state_dict()


def compare_models(first, *others):
    import torch

    expected = state_of(first)
    for path in others:
        state = state_of(path)
        assert expected.keys() == state.keys()
        for name, tensor in expected.items():
            assert tensor.dtype == state[name].dtype and torch.equal(tensor, state[name]), (path, name)
    print(len(expected))


def make_adapter(model_path, path):
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    torch.manual_seed(9)
    updates = {}
    for name, options in {"plain": {}, "rslora": {"use_rslora": True}, "torch_file": {}}.items():
        model = AutoModelForCausalLM.from_pretrained(model_path)
        config = LoraConfig(r=4, lora_alpha=10, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM", **options)
        model = get_peft_model(model, config)
        for module_name, module in model.named_modules():
            if hasattr(module, "lora_B"):
                torch.nn.init.normal_(module.lora_B["default"].weight)
                updates[f"{name}/{module_name.removeprefix('base_model.model.')}"] = module.get_delta_weight("default").detach()
        model.save_pretrained(f"{path}/{name}", safe_serialization=name != "torch_file")
    save_file(updates, f"{path}/updates.safetensors")


def check_adapter(model_path, path):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    ids = torch.arange(24).reshape(2, 12) * 5 % 96
    base = AutoModelForCausalLM.from_pretrained(model_path)
    with torch.no_grad():
        plain = base(ids).logits
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # PEFT warns of missing and unknown keys
            adapted = PeftModel.from_pretrained(base, path)
        logits = adapted(ids).logits

        tensors = load_file(f"{path}/adapter_model.safetensors")
        merged = AutoModelForCausalLM.from_pretrained(model_path)
        state = merged.state_dict()
        for name, a in tensors.items():
            if name.endswith(".lora_A.weight"):
                module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                state[module + ".weight"] += tensors[name.replace("lora_A", "lora_B")] @ a
        expected = merged(ids).logits
    print(json.dumps({
        "difference": (logits - expected).abs().max().item(),
        "effect": (expected - plain).abs().max().item(),
        "parameters": sum(p.numel() for n, p in adapted.named_parameters() if "lora_" in n),
    }))  # fmt: skip


def cached_snapshot(name):
    from huggingface_hub import snapshot_download

    print(snapshot_download(name, local_files_only=True))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
