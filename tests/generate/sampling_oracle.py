"""What transformers' logits processors make of given logits: the distribution of each case of sampling_test.

  python tests/generate/sampling_oracle.py FILE.safetensors

Of case <i>: logits.<i> [V], seen.<i> [n] int64 (the sequence so far), settings.<i> [5] (repetition_penalty, temperature, top_k,
top_p, min_p), probabilities.<i> [V]. The processors and their order are those that generate() itself puts together.
"""
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from safetensors.torch import save_file

VOCABULARY = 60
NAMES = ("repetition_penalty", "temperature", "top_k", "top_p", "min_p")
CASES = [(1, 1, 0, 1, 0), (1, 0.6, 0, 1, 0), (1, 1.7, 0, 1, 0), (1, 1, 7, 1, 0), (1, 1, 0, 0.8, 0), (1, 1, 0, 1, 0.1),
         (1.3, 1, 0, 1, 0), (0.8, 1, 0, 1, 0), (1.2, 0.7, 20, 0.9, 0.05), (1.1, 1.5, 30, 0.95, 0.02), (1, 1, 1, 1, 0),
         (1, 2, 0, 0.01, 0), (1, 1, 500, 1, 1)]


def processors(model, settings):
    settings = {name: int(value) if name == "top_k" else float(value) for name, value in settings.items()}
    config = transformers.GenerationConfig(do_sample=True, **settings)
    model._prepare_special_tokens(config)
    return model._get_logits_processor(generation_config=config, input_ids_seq_length=8)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, bos_token_id=None, eos_token_id=None))
    tensors = {}
    for i, values in enumerate(CASES):
        # Rounded, so that there are equal logits, as bfloat16 has them.
        logits = (torch.randn(1, VOCABULARY) * 2).bfloat16().float()
        seen = torch.randint(VOCABULARY, (1, 12))
        scores = processors(model, dict(zip(NAMES, values)))(seen, logits.clone())
        tensors |= {f"logits.{i}": logits[0], f"seen.{i}": seen[0], f"settings.{i}": torch.tensor(values, dtype=torch.float64),
                    f"probabilities.{i}": torch.softmax(scores[0].double(), 0)}
    path = pathlib.Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


if __name__ == "__main__":
    main()
