#!/usr/bin/env python3
"""Builds three suites of tasks whose shared parts are known, so that what a gate should learn is known.

    python3 examples/synthetic/build.py [--out DIR]                 DIR/{positive,negative,conflict}/<task>/{train,dev,test}.jsonl
    python3 examples/synthetic/build.py --out DIR --conflict 1      the conflict suite alone, whose pairs differ in the sign of one skill

Standard library only, no network, and the same bytes every time. README.md says what the tasks are.
"""

import argparse
import hashlib
import json
from pathlib import Path

ROWS = {"train": 400, "dev": 60, "test": 250}
# A skill is knowing how the words of one list vote. The lists have nothing to do with what the words mean: there is no prior to help.
# Three words of each vote +2, +1, -1 and -2; `votes` draws which.
SKILLS = {
    "a": "water hand line glass engine ridge spring train drum paper silver coat".split(),
    "b": "bus field stone thumb animal copper night bull wall school trunk plant".split(),
    "c": "eye street snow ring tower horn vessel tub rail child bone insect".split(),
    "d": "foot river fire tooth bladder mill spot cycle pen hair gun station".split(),
}
PURE = {"a": {"a": 1}, "b": {"b": 1}, "c": {"c": 1}, "d": {"d": 1}}
# The two suites differ in four signs and in nothing else: the same inputs, the same rows a task.
POSITIVE = {**PURE, "a_b": {"a": 1, "b": 1}, "b_c": {"b": 1, "c": 1}, "c_d": {"c": 1, "d": 1}, "d_a": {"d": 1, "a": 1}}
NEGATIVE = {**PURE, "a_b": {"a": 1, "b": -1}, "b_c": {"b": 1, "c": -1}, "c_d": {"c": 1, "d": -1}, "d_a": {"d": 1, "a": -1}}
# Two tasks of each name, on the same inputs; the second counts the first `flipped` skills with the opposite sign.
PAIRS = {"even": {"a": 1, "b": 1, "c": 1, "d": 1}, "uneven": {"a": 2, "b": 1, "c": 2, "d": 1}}
FLIPPED = 2


def opposed(weights, flipped):
    return {skill: -weight if place < flipped else weight for place, (skill, weight) in enumerate(weights.items())}


def conflict_mixtures(flipped):
    """{task: weights}"""
    pairs = {name: weights for task, of in PAIRS.items() for name, weights in ((task, of), (f"{task}_opposed", opposed(of, flipped)))}
    return {**PURE, **pairs}


def drawn(limit, *key):
    """An integer in [0, limit) that is a pure function of its key."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") * limit >> 48


def shuffled(items, *key):
    return sorted(items, key=lambda item: hashlib.sha256("/".join(map(str, (*key, item))).encode()).digest())


def votes():
    """{skill: {word: vote}}"""
    return {skill: dict(zip(shuffled(words, "vote", skill), 3 * (2, 1, -1, -2))) for skill, words in SKILLS.items()}


def total(weights, words, vote):
    """The mixture's sum of the votes of a row: `words` has one word of each skill."""
    return sum(weight * vote[skill][words[skill]] for skill, weight in weights.items())


def drawn_words(*key):
    return {skill: words[drawn(len(words), *key, skill)] for skill, words in SKILLS.items()}


def split_of(words):
    """Each combination of words belongs to one split, for all tasks: no test input was ever trained on, by any of them."""
    return ("train", "train", "train", "train", "train", "dev", "test", "test")[drawn(8, "split", *words.values())]


def rows_of(task, split, *mixtures):
    """(text, answer of each mixture) of `ROWS[split]` rows, as many where the first says yes as where it says no."""
    vote = votes()
    left = {True: ROWS[split] // 2, False: ROWS[split] // 2}
    number = 0
    while left[True] + left[False]:
        words = drawn_words("row", task, number)
        number += 1
        sums = [total(weights, words, vote) for weights in mixtures]
        if 0 in sums or split_of(words) != split or not left[sums[0] > 0]:
            continue
        left[sums[0] > 0] -= 1
        yield " ".join(shuffled(words.values(), "order", task, number)), [of > 0 for of in sums]


def make_row(text, says_yes):
    return {"input": text, "target": "yes" if says_yes else "no", "task_type": "label"}


def mixture_suite(tasks):
    """{task: {split: rows}}"""
    return {
        task: {split: [make_row(text, says) for text, (says,) in rows_of(task, split, weights)] for split in ROWS}
        for task, weights in tasks.items()
    }


def conflict_suite(flipped):
    suite = mixture_suite(PURE)
    for task, weights in PAIRS.items():
        pair = {split: list(rows_of(task, split, weights, opposed(weights, flipped))) for split in ROWS}
        for place, name in enumerate((task, f"{task}_opposed")):
            suite[name] = {split: [make_row(text, says[place]) for text, says in rows] for split, rows in pair.items()}
    return suite


def write(folder, suite):
    for task, splits in suite.items():
        (folder / task).mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / task / f"{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--conflict", type=int, choices=range(5), help="the conflict suite alone, with so many skills opposed")
    arguments = parser.parse_args()
    write(arguments.out / "conflict", conflict_suite(FLIPPED if arguments.conflict is None else arguments.conflict))
    if arguments.conflict is None:
        write(arguments.out / "positive", mixture_suite(POSITIVE))
        write(arguments.out / "negative", mixture_suite(NEGATIVE))


if __name__ == "__main__":
    main()
