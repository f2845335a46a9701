"""Random draws that are a pure function of their key, the same in every Python version and on every machine."""

import hashlib


class Draws:
    """A stream of draws named by its key: two streams with the same key give the same values."""

    def __init__(self, *key):
        self._seed = "/".join(str(part) for part in key).encode()
        self._count = 0

    def unit(self):
        """A number in [0, 1)."""
        self._count += 1
        digest = hashlib.sha256(self._seed + b"#%d" % self._count).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def below(self, limit):
        return int(self.unit() * limit)

    def chance(self, probability):
        return self.unit() < probability

    def choice(self, items):
        return items[self.below(len(items))]

    def shuffled(self, items):
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items

    def sample(self, items, count):
        return self.shuffled(items)[:count]
