"""Multinomial naive Bayes; smoothing 0.1, better than 1 on these short texts."""

import math
from collections import Counter


_SMOOTHING = 0.1


class NaiveBayes:
    def __init__(self, examples):
        """`examples`: (features, label) pairs."""
        self._labels = Counter()
        self._counts = {}
        for features, label in examples:
            self._labels[label] += 1
            self._counts.setdefault(label, Counter()).update(features)
        vocabulary = set().union(*self._counts.values())
        self._size = len(vocabulary)
        self._totals = {label: sum(counts.values()) for label, counts in self._counts.items()}
        self._vocabulary = vocabulary

    def log_score(self, features, label):
        counts, total = self._counts[label], self._totals[label] + _SMOOTHING * self._size
        score = math.log(self._labels[label])
        return score + sum(math.log((counts[feature] + _SMOOTHING) / total) for feature in features if feature in self._vocabulary)

    def best(self, features):
        return max(sorted(self._labels, key=str), key=lambda label: self.log_score(features, label))

    def margin(self, features, label):
        """How much likelier a label is than the others together (of two labels: the log odds)."""
        return self.log_score(features, label) - max(self.log_score(features, other) for other in self._labels if other != label)
