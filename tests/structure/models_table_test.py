"""docs/models.md's table says of each family what the tests run on, no more and no less.

  python tests/structure/models_table_test.py        (an environment with transformers: the fixtures' classes are asked)
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("fixtures", "interop", "cli", "text")]
import export_parity
import families
import make_expected
import sentencepiece_models

# Whose tokenizers' real files the tests of src/text read.
REAL_FILES = {"qwen3": {"qwen3"}, "llama3_1": {"llama"}, "llama2": {"llama"}, "gemma3": {"gemma3", "gemma3_text"}}


def table():
    """{model_type: cells of its row}"""
    lines = (ROOT / "docs/models.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| family |"))
    heads = [head.strip() for head in lines[begin].strip("|").split("|")]
    rows = {}
    for line in lines[begin + 2:]:
        if not line.startswith("|"):
            break
        cells = dict(zip(heads, (cell.strip() for cell in line.strip("|").split("|"))))
        rows[cells["`model_type`"].strip("`")] = cells
    return rows


class ModelsTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = table()
        cls.fixtures = {}  # model_type -> the fixtures of it
        for family in families.FAMILIES:
            cls.fixtures.setdefault(families.config_of(family).model_type, set()).add(family)

    def test_it_has_the_families_that_are_read(self):
        source = (ROOT / "src/nn/model_config.cpp").read_text()
        self.assertEqual(set(self.rows), set(re.findall(r'{"(\w+)", parse_\w+}', source)))

    def test_the_parity_tests_run_on_every_fixture_and_these_are_of_every_family(self):
        named = (ROOT / "tests/support/families.h").read_text().split("kFamilies = {")[1].split("}")[0]
        self.assertEqual(set(re.findall(r'"(\w+)"', named)), set(families.FAMILIES))
        self.assertEqual(set(self.rows), set(self.fixtures))

    def test_oracles_are_those_of_the_fixtures(self):
        for model_type, row in self.rows.items():
            modules = {families.FAMILIES[family][0].__module__.split(".")[0] for family in self.fixtures[model_type]}
            oracle = "published architecture" if modules == {"published"} else "transformers"
            self.assertEqual(row["logits, gradients, answers"], oracle, model_type)
            self.assertEqual(row["merged, PEFT"], f"{oracle}, PEFT", model_type)

    def test_exports_are_compared_of_every_family(self):
        for model_type, row in self.rows.items():
            self.assertLessEqual(self.fixtures[model_type], set(export_parity.FAMILIES), model_type)
            answers = bool(self.fixtures[model_type] - set(export_parity.LLAMA_CPP_TOKENS)) and "gguf" in export_parity.FORMATS
            self.assertEqual(row["GGUF"] == "llama.cpp", answers, model_type)

    def test_tokenizers_are_those_that_are_read(self):
        self.assertEqual(set(REAL_FILES), set(make_expected.NAMES))
        real = set().union(*REAL_FILES.values())
        for model_type, row in self.rows.items():
            expected = [word for word, holds in (("real files", model_type in real),
                                                 ("tokenizer.model", model_type in sentencepiece_models.FAMILIES)) if holds]
            self.assertEqual(row["tokenizer and template"], "; ".join(expected), model_type)


if __name__ == "__main__":
    unittest.main()
