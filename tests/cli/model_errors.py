"""Wrong model directories, for errors.py."""
import json

from error_case import CONFIG, MODEL, TRAIN, Case
from spoiled_models import NORM, cut_weights, edit_json, edit_weights, lie_about_header, remove, tensor_edit, write

MODELS = [
    Case("missing model", MODEL, ["absent"], config={"model": "./absent"}),
    Case("model that isn't in the cache", MODEL, ["no-such-org/no-such-model"], config={"model": "no-such-org/no-such-model"}),
    Case("no config.json", MODEL, ["config.json"], spoil_model=remove("config.json")),
    Case("broken config.json", MODEL, ["config.json"], spoil_model=write("config.json", '{"model_type": "qwen3"')),
    Case("unknown model_type", MODEL, ["mamba", "qwen3", "llama", "mistral"],
         spoil_model=edit_json("config.json", lambda c: c.update(model_type="mamba"))),
    Case("size missing from config.json", MODEL, ["config.json", "hidden_size"],
         spoil_model=edit_json("config.json", lambda c: c.pop("hidden_size"))),
    Case("size of a wrong type", MODEL, ["config.json", "num_hidden_layers"],
         spoil_model=edit_json("config.json", lambda c: c.update(num_hidden_layers="two"))),
    Case("unknown activation", MODEL, ["hidden_act", "gelu"], spoil_model=edit_json("config.json", lambda c: c.update(hidden_act="gelu"))),
    Case("missing tokenizer", MODEL, ["tokenizer.json"], spoil_model=remove("tokenizer.json")),
    Case("broken tokenizer", MODEL, ["tokenizer.json"], spoil_model=write("tokenizer.json", "{}")),
    Case("chat template that doesn't parse", MODEL, ["template"], spoil_model=write("chat_template.jinja", "{% for m in %}")),
    Case("no chat template at validate", CONFIG, ["template.chat", "no chat template", "model/tokenizer_config.json", "chat: false"],
         spoil_model=remove("chat_template.jinja")),
    Case("no chat template at train", CONFIG, ["template.chat", "no chat template", "chat: false"], TRAIN,
         spoil_model=remove("chat_template.jinja")),
    Case("wrong end token", MODEL, ["generation_config.json", "eos_token_id"],
         spoil_model=edit_json("generation_config.json", lambda c: c.update(eos_token_id="end"))),
    Case("missing weights", MODEL, ["model.safetensors"], TRAIN, spoil_model=remove("model.safetensors")),
    Case("weights cut in their data", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0.6)),
    Case("weights cut in their header", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0.001)),
    Case("empty weights", MODEL, ["model.safetensors"], TRAIN, spoil_model=cut_weights(0)),
    Case("header longer than the file", MODEL, ["model.safetensors", "header"], TRAIN, spoil_model=lie_about_header),
    Case("tensor that reaches past the end", MODEL, ["model.safetensors", NORM], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(data_offsets=[t["data_offsets"][0], 1 << 40]))),
    Case("tensor of another size than its shape", MODEL, ["model.safetensors", NORM], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(shape=[47]))),
    Case("tensor of another shape than the model's", MODEL, [NORM, "[48]", "[2, 24]"], TRAIN,
         spoil_model=tensor_edit(NORM, lambda t: t.update(shape=[2, 24]))),
    Case("tensor of an unknown dtype", MODEL, [NORM, "F77"], TRAIN, spoil_model=tensor_edit(NORM, lambda t: t.update(dtype="F77"))),
    Case("missing tensor", MODEL, [NORM], TRAIN,
         spoil_model=edit_weights(lambda header, data: header.update(other=header.pop(NORM)) or data)),
    Case("index that names a missing file", MODEL, ["model-00009.safetensors"], TRAIN,
         spoil_model=lambda model: (remove("model.safetensors")(model), write("model.safetensors.index.json", json.dumps(
             {"weight_map": {NORM: "model-00009.safetensors"}}))(model))),
]
