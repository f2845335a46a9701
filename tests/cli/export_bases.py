"""The fixtures as bases that llama.cpp's converter takes too, for export_parity.py."""
import json
import shutil

from safetensors.torch import load_file, save_file

# What has to be otherwise than in the fixture's config.json for llama.cpp, which knows the published models: fixed values for
# Gemma, no window for Phi-3, no biases for InternLM2, a rotary embedding in Baichuan only where there are 32 layers, a context
# within which LongRoPE's short factors are (it rounds a context up to 256).
CHANGES = {
    "gemma2": {"query_pre_attn_scalar": 16},
    "gemma3_text": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6},
    "gemma3": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6},
    "phi3": {"sliding_window": None},
    "phi3_longrope": {"original_max_position_embeddings": 512, "max_position_embeddings": 1024},
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


def write_base(fixtures, family, base):
    """The family's float32 shards with the keys of transformers 4, which llama.cpp's converter reads."""
    shutil.copytree(fixtures / family / "sharded", base)
    changes = CHANGES.get(family, {})
    config = json.loads((fixtures / family / "f16/config.json").read_text())
    config["torch_dtype"] = "float32"
    config.get("text_config", config).update(changes)
    (base / "config.json").write_text(json.dumps(config, indent=1))
    for path in base.glob("*.safetensors"):
        save_file(changed(load_file(path), config, changes), path, metadata={"format": "pt"})
    index = base / "model.safetensors.index.json"
    weights = json.loads(index.read_text())
    weights["weight_map"] = {name: path.name for path in base.glob("*.safetensors") for name in load_file(path)}
    index.write_text(json.dumps(weights))
