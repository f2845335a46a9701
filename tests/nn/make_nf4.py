"""Weights in NF4 as bitsandbytes makes, stores and reads them: the oracle of tests/nn/quantized_linear_test.cpp.

  python tests/nn/make_nf4.py FIXTURES

FIXTURES/nf4/<case>.safetensors holds: weight, codes, scales (uint8 where nested), scale_levels, nested_scales, offset, and what it is
again as float32 and bfloat16. FIXTURES/nf4/model is FIXTURES/qwen2/f32 as transformers quantises and saves it, with logits.safetensors:
ids [1, T] and the logits [T, vocabulary] it computes in float32.
"""
import pathlib
import sys

import torch
import transformers
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors.torch import save_file

CASES = {  # name: (out, in, dtype, nested)
    "plain": (48, 128, torch.float32, False),
    "nested": (96, 256, torch.float32, True),
    "half": (80, 192, torch.bfloat16, True),
    "odd_rows": (7, 90, torch.float32, True),  # blocks that reach from one row into the next
    "outliers": (32, 64, torch.float32, True),
}


def make(name, out, width, dtype, nested):
    generator = torch.Generator().manual_seed(len(name) * 1000 + out)
    weight = torch.randn(out, width, generator=generator) * 0.02
    if name == "outliers":
        weight[::5, ::7] *= 300
        weight[3] = 0
    weight = weight.to(dtype)
    codes, state = quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type="nf4")
    tensors = {"weight": weight, "codes": codes.flatten(), "scales": state.absmax}
    if nested:
        tensors |= {"scale_levels": state.state2.code, "nested_scales": state.state2.absmax, "offset": state.offset.reshape(1)}
    for kind in (torch.float32, torch.bfloat16):
        state.dtype = kind
        tensors[str(kind).removeprefix("torch.")] = dequantize_4bit(codes, state)
    return {key: value.contiguous().clone() for key, value in tensors.items()}


def write_model(base, folder):
    settings = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                               bnb_4bit_compute_dtype=torch.float32)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, quantization_config=settings, dtype=torch.float32, device_map="cpu")
    model.save_pretrained(folder)
    ids = torch.randint(1, model.config.vocab_size, (1, 40), generator=torch.Generator().manual_seed(1))
    logits = model(ids).logits[0].detach().contiguous()  # without gradients it would take a product for widths of 32
    save_file({"ids": ids, "logits": logits}, folder / "logits.safetensors")


def main():
    torch.set_num_threads(1)
    fixtures = pathlib.Path(sys.argv[1])
    folder = fixtures / "nf4"
    folder.mkdir(parents=True, exist_ok=True)
    write_model(fixtures / "qwen2/f32", folder / "model")
    for name, case in CASES.items():
        save_file(make(name, *case), folder / f"{name}.safetensors")


if __name__ == "__main__":
    main()
