"""What the tests of the command line share: tiny rows, a configuration for the fixture models, and running the program."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

COLOURS = ["red", "green", "blue"]


def colour_row(split, i):
    return {"input": f"{split} item {i}: colour?", "target": COLOURS[i % 3], "task_type": "cls", "answer_choices": COLOURS}


def echo_row(split, i):
    return {"input": f"{split} row {i}: write", "target": f"answer {i} " + "x" * (i % 9), "task_type": "report_generation"}


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Workplace:
    """A directory with data/<task>/{train,dev,test}.jsonl, in which the program runs."""

    def __init__(self, program, fixtures, model="qwen3/f32", run_logits=None):
        self.program = str(pathlib.Path(program).resolve())
        self.run_logits = run_logits and str(pathlib.Path(run_logits).resolve())
        self.model = pathlib.Path(fixtures).resolve() / model
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="moelora-cli-"))
        for task, row in {"colour": colour_row, "echo": echo_row}.items():
            for split, count in {"train": 24, "dev": 6, "test": 6}.items():
                self.write(f"data/{task}/{split}.jsonl", jsonl(row(split, i) for i in range(count)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def write(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def config(self):
        return {"model": str(self.model), "output": "out",
                "data": {"sources": ["data"], "max_length": 100},
                "adapter": {"rank": 4, "experts": 2, "alpha": 8},
                "train": {"threads": 1, "dtype": "float32", "max_steps": 2, "batch_size": 4, "tokens_per_batch": 128},
                "eval": {"max_new_tokens": 4}}

    def write_config(self, config, name="run.yaml"):
        """As JSON, which is YAML too."""
        self.write(name, json.dumps(config, indent=1))

    def command(self, *arguments):
        return [self.program, *map(str, arguments)]

    def environment(self):
        return {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(self, *arguments, **options):
        """The finished process: returncode, stdout, stderr."""
        return subprocess.run(self.command(*arguments), cwd=self.path, env=self.environment(), capture_output=True, text=True,
                              errors="replace", **{"timeout": 120, "stdin": subprocess.DEVNULL, **options})

    def run_well(self, *arguments, **options):
        process = self.run(*arguments, **options)
        if process.returncode != 0:
            raise AssertionError(f"moelora {' '.join(map(str, arguments))}: exit code {process.returncode}\n{process.stderr}")
        return process.stdout
