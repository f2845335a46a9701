"""The metrics of the demo's tasks, in a few lines each; tests compare the program's own against the same definitions."""

import re
from collections import Counter


def fold(text):
    return " ".join(text.lower().split())


def items_of(answer, kind):
    """The items of an answer in the plain grammar, as a set."""
    if kind == "label":
        return {fold(answer)}
    if fold(answer) == "none" and kind != "set":
        return set()
    if kind == "set":
        return {fold(item) for item in re.split(r"[;\n]", answer) if item.strip()}
    if kind == "events":
        return {
            tuple(sorted(tuple(map(fold, part.split(":", 1))) for part in line.split(";") if ":" in part))
            for line in answer.split("\n")
        }
    if kind == "triples":
        return {tuple(map(fold, line.strip(" ()").split("|"))) for line in answer.split("\n") if line.strip()}
    return {fold(line) for line in answer.split("\n") if line.strip()}


def micro_f1(golds, answers, kind):
    right = given = wanted = 0
    for gold, answer in zip(golds, answers):
        gold_items, items = items_of(gold, kind), items_of(answer, kind)
        right += len(gold_items & items)
        given += len(items)
        wanted += len(gold_items)
    return 2 * right / (given + wanted) if right else 0.0


def macro_f1(golds, answers):
    """Mean F1 of the classes that are gold or answered in at least one row."""
    golds, answers = [fold(gold) for gold in golds], [fold(answer) for answer in answers]
    right = Counter(gold for gold, answer in zip(golds, answers) if gold == answer)
    gold_count, answer_count = Counter(golds), Counter(answers)
    labels = sorted({*gold_count, *answer_count})
    return sum(2 * right[label] / (gold_count[label] + answer_count[label]) for label in labels) / len(labels)


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def longest_common(one, two):
    row = [0] * (len(two) + 1)
    for left in one:
        before = 0
        for index, right in enumerate(two, 1):
            before, row[index] = row[index], before + 1 if left == right else max(row[index], row[index - 1])
    return row[-1]


def rouge_l(golds, answers):
    """Mean F-measure of the longest common subsequence of words."""
    total = 0.0
    for gold, answer in zip(golds, answers):
        one, two = words(gold), words(answer)
        common = longest_common(one, two)
        total += 2 * common / (len(one) + len(two)) if common else 0.0
    return total / len(golds)


def score(kind, golds, answers):
    """The task's metric for its task_type: macro-F1 of labels, ROUGE-L of text, micro-F1 of everything else."""
    if kind == "label":
        return macro_f1(golds, answers)
    if kind == "text":
        return rouge_l(golds, answers)
    return micro_f1(golds, answers, kind)
