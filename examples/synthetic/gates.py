#!/usr/bin/env python3
"""Holds what a gate learned against what the tasks are made of.

    moelora gates RUN --json | python3 examples/synthetic/gates.py SUITE      SUITE: positive, negative or conflict

Prints how alike each two tasks' gate rows are beside how alike their mixtures are, and the correlation of the two over all pairs.
Likeness is the cosine of rows of sum 1 (of absolute values), less their mean over the tasks: softmax makes rows of a gate all
positive, and what tells two tasks apart is how each differs from the others.
"""

import itertools
import json
import sys

import build

MIXTURES = {"positive": build.POSITIVE, "negative": build.NEGATIVE, "conflict": build.conflict_mixtures(build.FLIPPED)}


def cosine(one, other):
    norms = sum(x * x for x in one) * sum(y * y for y in other)
    return sum(x * y for x, y in zip(one, other)) / norms**0.5 if norms else 0.0


def centred(rows):
    means = [sum(column) / len(rows) for column in zip(*rows)]
    return [[value - mean for value, mean in zip(row, means)] for row in rows]


def correlation(xs, ys):
    return cosine(*([value - sum(of) / len(of) for value in of] for of in (xs, ys)))


def likeness(rows):
    """[the cosine of each two rows]"""
    return [cosine(one, other) for one, other in itertools.combinations(rows, 2)]


def table(mixtures, tasks):
    """[tasks][skills]: the weights that a gate should find, up to the order of its experts."""
    skills = sorted({skill for weights in mixtures.values() for skill in weights})
    return [[weights.get(skill, 0) / sum(map(abs, weights.values())) for skill in skills] for weights in map(mixtures.get, tasks)]


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in MIXTURES:
        sys.exit(__doc__)
    shown = json.load(sys.stdin)
    tasks, mixtures = shown["tasks"], MIXTURES[sys.argv[1]]
    made_of = likeness(centred(table(mixtures, tasks)))
    for gate in shown["gates"]:
        learned = likeness(centred(gate["weights"]))
        if len(shown["gates"]) == 1:
            for (one, other), of_mixture, of_gate in zip(itertools.combinations(tasks, 2), made_of, learned):
                print(f"{one:14} {other:14} mixture {of_mixture:5.2f}  gate {of_gate:5.2f}")
        print(f"{gate['name']}: correlation over the {len(made_of)} pairs of tasks: {correlation(made_of, learned):.2f}")


if __name__ == "__main__":
    main()
