"""Compares moelora's logits of an exported adapter with what PEFT makes of the same directory.

  python tests/interop/check_peft.py --base DIR --adapter DIR --prompts FILE --logits FILE [--dtype bfloat16] ...

--prompts  safetensors: `ids` [T] int64, sequences one after another, and `cu_seqlens` [S+1] int64
--logits   safetensors: `logits` [T, V], written by moelora for base and adapter

Prints one JSON line and exits 0 where the largest difference is within --tolerance and within --share-of-effect of what the
adapter itself changes in the logits; else 1. An adapter that changes almost nothing fails: it would prove nothing.
"""
import argparse
import json
import pathlib
import sys
import warnings

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))
import published  # noqa: F401  registers the families that transformers has no class for


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--logits", required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the base in PEFT")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest |difference| (default %(default)s)")
    parser.add_argument("--relative-tolerance", type=float, default=1.0,
                        help="largest ‖difference‖ / ‖logits‖, for dtypes whose own rounding exceeds any |difference| (default: not asked)")
    parser.add_argument("--share-of-effect", type=float, default=1e-3,
                        help="largest |difference| / largest |with - without adapter| (default %(default)s)")
    parser.add_argument("--smallest-effect", type=float, default=1e-2,
                        help="of the adapter on the logits, at least (default %(default)s)")
    return parser.parse_args()


def logits(model, prompts):
    """[T, V] float32, one sequence at a time: padding can't hide anything."""
    bounds = prompts["cu_seqlens"].tolist()
    with torch.no_grad():
        return torch.cat([model(input_ids=prompts["ids"][None, start:end].long(), use_cache=False).logits[0].float()
                          for start, end in zip(bounds, bounds[1:])])


def main():
    options = arguments()
    warnings.simplefilter("ignore", FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    prompts = load_file(options.prompts)
    ours = load_file(options.logits)["logits"].float()
    base = AutoModelForCausalLM.from_pretrained(options.base, dtype=getattr(torch, options.dtype),
                                                attn_implementation="eager").eval()
    without = logits(base, prompts)
    theirs = logits(PeftModel.from_pretrained(base, options.adapter).eval(), prompts)
    if ours.shape != theirs.shape:
        sys.exit(f"{options.logits}: logits {list(ours.shape)}, PEFT's are {list(theirs.shape)}")

    difference = (ours - theirs).abs().max().item()
    relative = ((ours - theirs).norm() / theirs.norm()).item()
    effect = (theirs - without).abs().max().item()
    # Written so that a NaN anywhere fails.
    passed = (difference <= options.tolerance and relative <= options.relative_tolerance and effect >= options.smallest_effect
              and difference <= options.share_of_effect * effect)
    print(json.dumps({"passed": passed, "max_difference": difference, "relative": relative, "effect": effect,
                      "share_of_effect": difference / effect if effect else None,
                      "tokens": ours.shape[0], "dtype": options.dtype}))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
