"""The synthetic suites: rebuilt byte for byte, and every answer is what the mixtures say, by arithmetic of this test's own."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = ROOT / "examples/synthetic"
DATA = SYNTHETIC / "data"
sys.path.insert(0, str(SYNTHETIC))

import build  # noqa: E402
import gates  # noqa: E402

PAIRS = ("a_b", "b_c", "c_d", "d_a")


def rows(suite, task, split, data=DATA):
    lines = (data / suite / task / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def run_build(*arguments):
    return subprocess.run([sys.executable, "-B", str(SYNTHETIC / "build.py"), *map(str, arguments)], capture_output=True, text=True, check=False)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


class Answers(unittest.TestCase):
    def expected(self, row, parts):
        """yes or no, from (skill, sign) of the mixture's parts."""
        vote = build.votes()
        sums = [sign * vote[skill][word] for word in row["input"].split() for skill, sign in parts if word in vote[skill]]
        self.assertEqual(len(sums), len(parts))
        self.assertNotEqual(sum(sums), 0)
        return "yes" if sum(sums) > 0 else "no"

    def check(self, suite, task, parts):
        for split, count in build.ROWS.items():
            of_split = rows(suite, task, split)
            self.assertEqual(len(of_split), count)
            self.assertEqual(sum(row["target"] == "yes" for row in of_split), count // 2)
            for row in of_split:
                self.assertEqual(row["target"], self.expected(row, parts), row)

    def test_of_positive_mixtures_are_the_sign_of_the_sum(self):
        for skill in "abcd":
            self.check("positive", skill, [(skill, 1)])
        for pair in PAIRS:
            self.check("positive", pair, [(skill, 1) for skill in pair.split("_")])

    def test_of_negative_mixtures_are_the_sign_of_the_difference(self):
        for pair in PAIRS:
            one, other = pair.split("_")
            self.check("negative", pair, [(one, 1), (other, -1)])

    def test_of_a_pair_are_on_the_same_inputs_by_opposing_signs_of_two_skills(self):
        vote = build.votes()
        for task, sizes in (("even", (1, 1, 1, 1)), ("uneven", (2, 1, 2, 1))):
            for split in build.ROWS:
                for one, other in zip(rows("conflict", task, split), rows("conflict", f"{task}_opposed", split), strict=True):
                    self.assertEqual(one["input"], other["input"])
                    of = {skill: value for word in one["input"].split() for skill in vote for w, value in vote[skill].items() if w == word}
                    said = [sizes[place] * of[skill] for place, skill in enumerate("abcd")]
                    self.assertEqual(one["target"], "yes" if sum(said) > 0 else "no")
                    self.assertEqual(other["target"], "yes" if -said[0] - said[1] + said[2] + said[3] > 0 else "no")


class Inputs(unittest.TestCase):
    def test_of_test_rows_are_combinations_that_no_task_trains_on(self):
        for suite in ("positive", "negative", "conflict"):
            seen = {}
            for task in (path.name for path in (DATA / suite).iterdir()):
                for split in build.ROWS:
                    for row in rows(suite, task, split):
                        words = frozenset(row["input"].split())
                        self.assertEqual(seen.setdefault(words, split), split, row)

    def test_have_every_word_of_every_list_in_training_rows(self):
        seen = {word for task in "abcd" for row in rows("positive", task, "train") for word in row["input"].split()}
        self.assertEqual(seen, {word for words in build.SKILLS.values() for word in words})


class Rebuild(unittest.TestCase):
    def test_is_byte_for_byte(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run_build("--out", folder).returncode, 0)
            self.assertEqual(contents(Path(folder)), contents(DATA))

    def test_pairs_agree_where_nothing_is_opposed_and_never_where_all_is(self):
        shares = []
        for flipped in (0, 1, 2, 3, 4):
            with tempfile.TemporaryDirectory() as folder:
                self.assertEqual(run_build("--out", folder, "--conflict", flipped).returncode, 0)
                data = Path(folder)
                self.assertEqual([path.name for path in data.iterdir()], ["conflict"])
                pairs = list(zip(rows("conflict", "even", "train", data), rows("conflict", "even_opposed", "train", data), strict=True))
                shares.append(sum(one["target"] != other["target"] for one, other in pairs) / len(pairs))
        self.assertEqual((shares[0], shares[4]), (0, 1))
        self.assertEqual(shares, sorted(shares))

    def test_refuses_more_skills_than_there_are(self):
        result = run_build("--out", "nowhere", "--conflict", "5")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("--conflict", result.stderr)


class Gates(unittest.TestCase):
    def show(self, suite, weights):
        shown = json.dumps({"tasks": list(build.POSITIVE), "gates": [{"name": "shared", "weights": weights}]})
        command = [sys.executable, "-B", str(SYNTHETIC / "gates.py"), suite]
        return subprocess.run(command, input=shown, capture_output=True, text=True, check=True).stdout

    def test_that_are_the_mixtures_in_another_order_of_experts_correlate_fully(self):
        weights = [[build.POSITIVE[task].get(skill, 0) for skill in "cadb"] for task in build.POSITIVE]
        weights = [[value / sum(row) for value in row] for row in weights]
        self.assertIn("28 pairs of tasks: 1.00", self.show("positive", weights))

    def test_that_are_uniform_say_nothing(self):
        self.assertIn("28 pairs of tasks: 0.00", self.show("positive", [[0.25] * 4] * 8))

    def test_of_a_pair_with_half_of_its_skills_opposed_have_nothing_in_common(self):
        for task in ("even", "uneven"):
            one, other = gates.table(gates.MIXTURES["conflict"], [task, f"{task}_opposed"])
            self.assertAlmostEqual(gates.cosine(one, other), 0)


if __name__ == "__main__":
    unittest.main()
