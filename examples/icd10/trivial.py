#!/usr/bin/env python3
"""What each task's metric is without learning anything: trivial.json, on the full test rows.

    python3 examples/icd10/trivial.py [--data DIR] [--check]

majority  the commonest training answer, always
rule      a hand-written rule over the input; it knows the plain words and the training rows' forms, no others
bayes     naive Bayes over words: of the whole answer where it is one label, of the rule's closed parts (side, encounter, status,
          kind of note, where an addition goes) elsewhere
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import rules
from bayes import NaiveBayes
from scores import score, words


def load(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def bayes_labels(train, test, features):
    model = NaiveBayes((features(row["input"]), row["target"]) for row in train)
    return [model.best(features(row["input"])) for row in test]


def option_examples(row):
    """(features, whether right) of each option of a normalise row."""
    term, options = rules.term_and_options(row["input"])
    right = set(row["target"].split("; "))
    return [(rules.option_features(term, option), option in right) for option in options]


def bayes_options(train, test):
    model = NaiveBayes(example for row in train for example in option_examples(row))
    answers = []
    for row in test:
        term, options = rules.term_and_options(row["input"])
        answers.append(max(options, key=lambda option: model.margin(rules.option_features(term, option), True)))
    return answers


def bayes_parts(task, train, test):
    """The rule, with what it must tell of the closed parts decided by naive Bayes."""
    models = {}
    for part, examples in rules.closed_parts(task, train).items():
        models[part] = NaiveBayes(examples)
    return [rules.RULES[task](row["input"], models) for row in test]


def answers_of(task, train, test):
    counts = Counter(row["target"] for row in train)
    constant = min(counts, key=lambda answer: (-counts[answer], answer))
    bayes = {
        "chapter": lambda: bayes_labels(train, test, words),
        "criterion": lambda: bayes_labels(train, test, rules.criterion_features),
        "normalise": lambda: bayes_options(train, test),
    }.get(task, lambda: bayes_parts(task, train, test))
    return {
        "majority": [constant] * len(test),
        "rule": [rules.RULES[task](row["input"], {}) for row in test],
        "bayes": bayes(),
    }


def compute(data):
    result = {}
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        train, test = load(folder / "train.jsonl"), load(folder / "test.jsonl")
        kind, golds = test[0]["task_type"], [row["target"] for row in test]
        answers = answers_of(folder.name, train, test)
        result[folder.name] = {"rows": len(test), **{name: round(score(kind, golds, given), 4) for name, given in answers.items()}}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    arguments = parser.parse_args()
    text = json.dumps(compute(arguments.data), indent=2) + "\n"
    path = Path(__file__).parent / "trivial.json"
    if arguments.check:
        if path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} differs from what its rows give:\n{text}")
        return
    path.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
