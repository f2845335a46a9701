"""One training step of moelora beside PEFT's: the same weights, adapter and token ids, the same loss and gradients.

  python tests/interop/peer_step_check.py --step-gradients step_gradients [--model tiny] [--dtype float32] [--batch-size 8]

What the speed comparison stands on. Ends with 1 where the losses differ by more than 1e-5 (float32) or 1e-2 (bfloat16), or where an adapter
tensor's gradients have a cosine below 0.999.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-gradients", required=True)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-size", default="8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        dtype = {"float32": "f32", "bfloat16": "bf16"}[options.dtype]
        subprocess.run([sys.executable, "-B", str(ROOT / "benchmarks/peers/peft_step.py"), "--workload", str(ROOT / "benchmarks/workloads/ragged.jsonl"),
                        "--model", options.model, "--dtype", dtype, "--batch-size", options.batch_size, "--batching", "sorted",
                        "--threads", "1", "--dump", scratch], check=True)
        step = subprocess.run([options.step_gradients, scratch, str(folder / "ours.safetensors"), options.dtype], check=True, capture_output=True, text=True)
        ours, theirs = load_file(folder / "ours.safetensors"), load_file(folder / "gradients.safetensors")
        loss, expected = json.loads(step.stdout)["loss"], json.loads((folder / "step1.json").read_text())["loss"]
    if sorted(ours) != sorted(theirs):
        sys.exit(f"not the same adapter tensors: {sorted(set(ours) ^ set(theirs))[:4]}")

    def cosine(name):
        a, b = ours[name].double().flatten(), theirs[name].double().flatten()
        return (a @ b / (a.norm() * b.norm())).item()

    lowest = min(ours, key=cosine)
    tolerance = 1e-5 if options.dtype == "float32" else 1e-2
    passed = abs(loss - expected) <= tolerance and cosine(lowest) >= 0.999
    print(json.dumps({"passed": passed, "loss": loss, "peft_loss": expected, "tensors": len(ours), "lowest_cosine": cosine(lowest), "of": lowest}))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
