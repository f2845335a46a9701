"""The demo's committed rows are what the builder makes of the pinned package, byte for byte; so are its exercises, twice over."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "examples/icd10/build.py"
DATA = ROOT / "examples/icd10/data"
WHEEL = ROOT / ".deps/icd10/simple_icd_10_cm-1.5.0-py3-none-any.whl"


def build(*arguments):
    subprocess.run([sys.executable, "-B", str(BUILDER), "--wheel", str(WHEEL), *map(str, arguments)], check=True)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Rebuild(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not WHEEL.exists():
            raise FileNotFoundError(f"{WHEEL.relative_to(ROOT)} is missing; `scripts/bootstrap --tests` downloads it")

    def test_tasks_are_rebuilt_byte_for_byte(self):
        with tempfile.TemporaryDirectory() as folder:
            build("--out", folder)
            built, committed = contents(Path(folder)), contents(DATA)
            self.assertEqual(len(committed), 24)
            self.assertEqual(sorted(built), sorted(committed))
            self.assertEqual([name for name in built if built[name] != committed[name]], [])

    def test_more_events_go_on_where_the_tasks_end(self):
        with tempfile.TemporaryDirectory() as folder:
            build("--more-events", folder)
            more = rows_of(Path(folder) / "event/train.jsonl")
        train = rows_of(DATA / "event/train.jsonl")
        self.assertEqual(len(train) + len(more), 5000)
        self.assertEqual(len({row["sample_id"] for row in train + more}), 5000)
        self.assertLessEqual({row["group"] for row in more}, {row["group"] for row in train})
        self.assertEqual(len({row["input"] for row in more}), len(more))
        committed = {row["input"] for path in DATA.rglob("*.jsonl") for row in rows_of(path)}
        self.assertEqual([row["input"] for row in more if row["input"] in committed], [])

    def test_exercises_are_the_same_every_time_and_a_longer_list_starts_with_the_shorter(self):
        with tempfile.TemporaryDirectory() as folder:
            one, two = Path(folder) / "one", Path(folder) / "two"
            build("--base", one, "--rows", 300)
            build("--base", two, "--rows", 600)
            for stage in ("words", "choices"):
                written = 0
                for kind in ("exercises", "text"):
                    shorter, longer = one / stage / kind, two / stage / kind
                    self.assertEqual((shorter / "dev.jsonl").read_bytes(), (longer / "dev.jsonl").read_bytes())
                    rows = (longer / "train.jsonl").read_bytes()
                    self.assertTrue(rows.startswith((shorter / "train.jsonl").read_bytes()))
                    written += len(rows.splitlines())
                self.assertEqual(written, 600)

    def test_answers_of_the_second_stage_have_the_signs_of_the_first(self):
        with tempfile.TemporaryDirectory() as folder:
            build("--base", folder, "--rows", 1500)
            rows = {stage: rows_of(Path(folder) / stage / "exercises/train.jsonl") for stage in ("words", "choices")}
            signs = {stage: {sign for row in of for sign in row["target"] if not sign.isalnum()} for stage, of in rows.items()}
            self.assertEqual(signs["words"] - signs["choices"], set())

    def test_a_wheel_of_another_content_is_refused(self):
        with tempfile.NamedTemporaryFile(suffix=".whl") as other:
            other.write(b"not the package")
            other.flush()
            result = subprocess.run(
                [sys.executable, "-B", str(BUILDER), "--wheel", other.name], capture_output=True, text=True, check=False
            )
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("sha256", result.stderr)


if __name__ == "__main__":
    unittest.main()
