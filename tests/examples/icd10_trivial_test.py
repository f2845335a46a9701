"""trivial.json is what majority, rule and naive Bayes score on the committed test rows; the metrics agree with hand-made cases."""

import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/icd10"))

import scores  # noqa: E402


class Trivial(unittest.TestCase):
    def test_committed_scores_are_recomputed(self):
        command = [sys.executable, "-B", str(ROOT / "examples/icd10/trivial.py"), "--check"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)


class Scores(unittest.TestCase):
    def test_micro_f1_counts_items_over_all_rows(self):
        # 2 right of 3 given and 4 wanted.
        self.assertAlmostEqual(scores.micro_f1(["a; b", "c; d"], ["B; x", "c"], "set"), 2 * 2 / (3 + 4))

    def test_an_event_counts_only_whole_and_in_any_field_order(self):
        gold = "site: hip; kind: burn"
        self.assertEqual(scores.micro_f1([gold], ["kind: burn; site: hip"], "events"), 1)
        self.assertEqual(scores.micro_f1([gold], ["site: hip; kind: cut"], "events"), 0)

    def test_macro_f1_is_the_mean_over_classes(self):
        # a: precision 1/2, recall 1; b: precision 1, recall 1/2.
        self.assertAlmostEqual(scores.macro_f1(["a", "b", "b"], ["a", "a", "b"]), 2 / 3)

    def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence(self):
        # "a c" is common: 2 of 3 and 2 of 3 words.
        self.assertAlmostEqual(scores.rouge_l(["a b c"], ["a, x c"]), 2 / 3)


if __name__ == "__main__":
    unittest.main()
