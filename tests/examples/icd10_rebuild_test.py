"""The demo's committed rows are what the builder makes of the pinned package, byte for byte; so are its exercises, twice over."""

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

    def test_exercises_are_the_same_every_time_and_a_longer_list_starts_with_the_shorter(self):
        with tempfile.TemporaryDirectory() as folder:
            one, two = Path(folder) / "one", Path(folder) / "two"
            build("--base", one, "--rows", 300)
            build("--base", two, "--rows", 600)
            written = 0
            for kind in ("exercises", "text"):
                self.assertEqual((one / kind / "dev.jsonl").read_bytes(), (two / kind / "dev.jsonl").read_bytes())
                longer = (two / kind / "train.jsonl").read_bytes()
                self.assertTrue(longer.startswith((one / kind / "train.jsonl").read_bytes()))
                written += len(longer.splitlines())
            self.assertEqual(written, 600)

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
