"""Nothing of the demo's test rows stands in its training rows: no category, code, title, input or surface form."""

import json
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/icd10"))

import lexicon  # noqa: E402
import text_tasks  # noqa: E402

DATA = ROOT / "examples/icd10/data"
TASKS = ("chapter", "criterion", "dialogue", "event", "normalise", "polarity", "relation", "report")
SETS = ("train", "dev", "test")
PAIRS = (("train", "dev"), ("train", "test"), ("dev", "test"))
PHRASED = ("relation", "event", "polarity")


def load(task, where):
    with (DATA / task / f"{where}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def code_of(row):
    return re.fullmatch(r"[a-z]+-([A-Z0-9.]+)-\d+", row["sample_id"]).group(1)


ROWS = {where: {task: load(task, where) for task in TASKS} for where in SETS}


def everything(where):
    return [row for rows in ROWS[where].values() for row in rows]


def titles_in(row):
    """The titles that a row shows or asks for."""
    titles = {row["source"]}
    if row["task_dataset"] == "normalise":
        titles.update(choice for choice in row["answer_choices"] if choice != "none")
    if row["task_dataset"] == "report":
        titles.add(row["target"])
    if row["task_dataset"] == "dialogue":
        titles.update(line.split(": ")[0].rpartition(", ")[0] for line in row["input"].split("\nAsk: ")[0].split("\n")[1:])
    return titles


class Leakage(unittest.TestCase):
    def assert_disjoint(self, of):
        found = {where: {value for row in everything(where) for value in of(row)} for where in SETS}
        for one, two in PAIRS:
            self.assertTrue(found[one] and found[two])
            self.assertEqual(sorted(found[one] & found[two])[:5], [], f"in {one} and in {two}")

    def test_no_category_is_in_two_sets(self):
        self.assert_disjoint(lambda row: [row["group"]])

    def test_no_code_is_in_two_sets(self):
        self.assert_disjoint(lambda row: [code_of(row)])

    def test_every_code_belongs_to_its_rows_group(self):
        for where in SETS:
            for row in everything(where):
                self.assertEqual(code_of(row)[:3], row["group"])

    def test_no_title_is_in_two_sets(self):
        self.assert_disjoint(titles_in)

    def test_no_input_is_in_two_sets(self):
        self.assert_disjoint(lambda row: [row["input"]])

    def test_phrased_test_rows_use_no_form_of_training_rows_and_the_other_way_round(self):
        for where, foreign in (("train", "test"), ("dev", "test"), ("test", "train")):
            forms = lexicon.exclusive_forms(foreign)
            own = lexicon.exclusive_forms("train" if where == "dev" else where)
            rows = [row for task in PHRASED for row in ROWS[where][task]]
            for row in rows:
                self.assertFalse(lexicon.contains_form(row["input"], forms), f"{where}: {row['input']}")
            using = sum(lexicon.contains_form(row["input"], own) for row in rows)
            self.assertGreater(using, len(rows) // 2, f"{where}: most rows use forms of their own")

    def test_abbreviated_parts_of_other_tasks_use_no_form_of_the_other_side(self):
        parts = {
            "normalise": lambda text: text.rpartition("\nName: ")[2],
            "report": lambda text: text.split("\nNew: ")[1],
            "dialogue": lambda text: text.split("\nAsk: ")[1],
        }
        for where in SETS:
            forms = lexicon.foreign_word_forms(where)
            for task, part in parts.items():
                for row in ROWS[where][task]:
                    self.assertFalse(lexicon.contains_form(part(row["input"]), forms), f"{where}: {part(row['input'])}")

    def test_no_form_is_shared_between_training_and_test(self):
        self.assertEqual(set(lexicon.exclusive_forms("train")) & set(lexicon.exclusive_forms("test")), set())

    def test_dialogue_questions_of_test_rows_are_not_those_of_training_rows(self):
        def patterns(which):
            forms = [form for kind in text_tasks.QUESTIONS for form in text_tasks.QUESTIONS[kind][which]]
            forms += [form for kind in text_tasks.MORE_QUESTIONS for form in text_tasks.MORE_QUESTIONS[kind] if which == 0]
            return [re.escape(form).replace(r"\{\}", ".+") for form in forms]

        for where, own, foreign in (("train", 0, 1), ("test", 1, 0)):
            for row in ROWS[where]["dialogue"]:
                asked = row["input"].split("\nAsk: ")[1]
                self.assertTrue(any(re.fullmatch(pattern, asked) for pattern in patterns(own)), asked)
                self.assertFalse(any(re.fullmatch(pattern, asked) for pattern in patterns(foreign)), asked)


class Shape(unittest.TestCase):
    def test_rows_follow_the_promptcblue_grammar(self):
        keys = ["input", "target", "answer_choices", "task_type", "task_dataset", "sample_id", "group", "source"]
        for where in SETS:
            for task, rows in ROWS[where].items():
                for row in rows:
                    self.assertEqual(list(row), keys)
                    self.assertEqual(row["task_dataset"], task)
                    self.assertTrue(row["input"] and row["target"], row["sample_id"])
                    if row["answer_choices"]:
                        self.assertTrue(set(row["target"].split("; ")) <= set(row["answer_choices"]), row["sample_id"])
                self.assertEqual(len({row["sample_id"] for row in rows}), len(rows), f"{task}/{where}: sample ids")

    def test_two_pairs_of_tasks_answer_the_same_inputs_differently(self):
        for one, two in (("relation", "event"), ("relation", "polarity")):
            for where in ("train", "test"):
                answers = {row["input"]: row["target"] for row in ROWS[where][one]}
                shared = [(answers[row["input"]], row["target"]) for row in ROWS[where][two] if row["input"] in answers]
                self.assertGreaterEqual(len(shared), 150, f"{one}, {two} in {where}")
                self.assertFalse([pair for pair in shared if pair[0] == pair[1]])


if __name__ == "__main__":
    unittest.main()
