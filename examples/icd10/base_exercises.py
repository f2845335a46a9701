"""The base model's exercises, from the base set of categories only.

They teach what a larger model brings along: the list's words, what its abbreviations mean, copying, choosing, taking a title apart,
finding a note. Their own wording and answer formats differ from the tasks', so that fine-tuning has conventions to teach.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from choice_tasks import bare_note, options_for, siblings, usable_terms
from draws import Draws
from lexicon import ENCOUNTERS, WORDS, abbreviate, frames
from phrasing import encounter_class, head, phrase, plain
from structure_tasks import with_open_finding
from text_tasks import CUES, additions, neighbours, question, scene, scene_text
from titles import TitleReader

_SAYS = {
    "inclusion": "another word for it",
    "excludes1": "a different thing",
    "excludes2": "a different thing, maybe at once",
    "additional": "one more code to give",
    "first": "the cause, named earlier",
    "also": "a second code, in any order",
}
_STATUS = {"present": "yes", "absent": "no", "unspecified": "open"}
# Three in ten exercises are written out as plain text, the question learned as well as the answer: a good way to learn the words.
_TEXT_SHARE = 0.3
_AS_TEXT = "<|im_start|>user\n {}<|im_end|>\n<|im_start|>assistant\n {}"


# Words that carry the exercise itself and are never replaced by others.
_KEPT = {
    word
    for text in (*WORDS, *(form for entry in frames() for form in (entry[0], *entry[1], *entry[2])), *ENCOUNTERS, *_SAYS.values())
    for word in text.split()
} | set("what where side visit tell other unspecified specified type left right none mean means stage severity course".split())
_WORD = re.compile(r"(?<![\w-])[a-z]{4,}(?![\w-])")
_SYLLABLES = "ab al ar ba ce cho cor dac di dy en ery fi ga gly hem hy il ka la lo ma mel mi na ne oc om os pa phy po ra ri ro sa sis ta ther ti tu ul us vi xa".split()


_TOKENIZER = Path(__file__).parent / "base_model" / "tokenizer.json"


def syllables_of_words():
    """(first, further) syllables of invented words, in everyday writing."""
    return _SYLLABLES, _SYLLABLES


def syllables_of_tokens():
    """(first, further) pieces of invented words that are the tokenizer's own entries.

    Answers of exercises from the list alone never write a quarter of the entries, and a model can't copy what it never wrote.
    """
    entries = sorted(json.loads(_TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"])
    letters = [entry for entry in entries if re.fullmatch("\u0120?[a-z]{2,}", entry)]
    return [entry[1:] for entry in letters if entry[0] == "\u0120"], [entry for entry in letters if entry[0] != "\u0120"]


class Exercises:
    """Makes one exercise from a stream of draws: (input, answer), or None where what was drawn doesn't serve."""

    def __init__(self, tabular, syllables):
        self._tabular = tabular
        self._first_syllables, self._further_syllables = syllables()
        self._allowed = tabular.titles_of["base"]
        self._codes = [code for code in tabular.of_set("base") if code.title in self._allowed and len(code.title) <= 110]
        reader = TitleReader(code.title for code in tabular.codes)
        read = [(code, reader.read(code.title) or reader.read_findings(code.title)) for code in self._codes]
        self._parsed = [(code, parts) for code, parts in read if parts]
        self._injuries = [(code, parts) for code, parts in self._parsed if code.encounters and parts.whole and parts.site]
        self._finding = [(code, parts) for code, parts in self._parsed if parts.findings]
        self._terms = usable_terms(tabular, "base")
        self._terms_of = {}
        for code, term in self._terms:
            self._terms_of.setdefault(code.name, []).append(term)
        self._noted = [(code, note) for code in self._codes for note in code.notes if bare_note(note.text)]
        self._scarce = [(code, note) for code, note in self._noted if note.kind != "inclusion"]
        self._groups = neighbours(tabular, "base")
        self._words = sorted({word for code in self._codes for word in code.title.split() if word.isalpha() and len(word) > 3})

    def _word(self, draws):
        if not draws.chance(0.4):
            return draws.choice(self._words)
        first, further = self._first_syllables, self._further_syllables
        if first is not further:  # tokens are words or long parts of words already
            return draws.choice(first) + "".join(draws.choice(further) for _ in range(draws.below(3)))
        return "".join(draws.choice(first) for _ in range(2 + draws.below(3)))

    def _words_in_a_row(self, draws, count):
        return " ".join(self._word(draws) for _ in range(count))

    def renew(self, pair, draws):
        """The exercise with other words, or invented ones, where a word stands in question and answer alike.

        Only copying solves it then: without this a small model learns the base's titles by heart and fails on others.
        """
        text, answer = pair
        shared = sorted({word for word in _WORD.findall(answer) if word not in _KEPT} & set(_WORD.findall(text)))
        new = {word: self._word(draws) for word in shared if draws.chance(0.7)}
        return tuple(_WORD.sub(lambda match: new.get(match.group(), match.group()), part) for part in pair)

    def _drawn_parts(self, draws):
        pool = draws.choice((self._parsed, self._parsed, self._injuries, self._finding))
        code, parts = draws.choice(pool)
        encounter = None
        if pool is self._injuries:
            classes = sorted({encounter_class(text) for text in code.encounters} - {None})
            encounter = draws.choice(classes) if classes else None
        if parts.findings and draws.chance(0.3):
            parts = with_open_finding(parts, draws)
        return parts, encounter

    def expand(self, draws):
        parts, encounter = self._drawn_parts(draws)
        answer = plain(parts) + (f", {ENCOUNTERS[encounter][0]}" if encounter else "")
        return f"Spell out: {phrase(parts, 'base', draws, encounter)}", answer

    def take_apart(self, draws):
        parts, encounter = self._drawn_parts(draws)
        if not parts.whole:
            return None
        found = {"what": head(parts), "where": parts.site or "?", "side": parts.side or "?", "why": parts.cause or "?"}
        found["visit"] = encounter or "?"
        for finding, status in parts.findings:
            found[f"{finding}"] = _STATUS[status]
        wanted = draws.sample([name for name in found if found[name] != "?" or draws.chance(0.3)], 1 + draws.below(4))
        if not wanted:
            return None
        answer = "\n ".join(f"{name} = {found[name]}" for name in wanted)
        names = ", ".join(abbreviate(name, "base", draws, 0.3) for name in wanted)
        return f"Of: {phrase(parts, 'base', draws, encounter)}\nTell: {names}", answer

    def findings(self, draws):
        code, parts = draws.choice(self._finding)
        if draws.chance(0.4):
            parts = with_open_finding(parts, draws)
        answer = ", ".join(f"{status} = {finding}" for finding, status in parts.findings)
        return f"Signs in: {phrase(parts, 'base', draws)}", answer

    def copy(self, draws):
        words = [self._word(draws) for _ in range(2 + draws.below(7))] if draws.chance(0.6) else draws.choice(self._codes).title.split()
        text = " ".join(words)
        return f"Repeat: {text}", text

    def continue_after(self, draws):
        words = list(dict.fromkeys(self._word(draws) for _ in range(8 + draws.below(8))))
        at = draws.below(len(words) - 3)
        return f"Words: {' '.join(words)}\nAfter: {words[at]}", " ".join(words[at + 1 : at + 4])

    def pick(self, draws):
        """Choosing the line that has a word, or the line of a number."""
        titles = [code.title for code in draws.sample([draws.choice(self._codes) for _ in range(8)], 3 + draws.below(4))]
        lines = "".join(f"\n- {title}" for title in titles)
        wanted = draws.choice(titles)
        rare = [word for word in wanted.split() if sum(word in title.split() for title in titles) == 1]
        if not rare or len(lines) > 360:
            return None
        clue = abbreviate(" ".join(draws.sample(rare, 1 + draws.below(2))), "base", draws)
        return f"Which line has: {clue}{lines}", wanted

    def look_up(self, draws):
        """Lines of a name and what it stands for, several asked for; the names share words, so that one word doesn't decide."""
        stock = [self._word(draws) for _ in range(4)]
        drawn = [draws.sample(stock, 1 + draws.below(3)) for _ in range(3 + draws.below(5))]
        names = [" ".join(words) for words in {frozenset(words): words for words in drawn}.values()]
        if len(names) < 3:
            return None
        meanings = {name: self._words_in_a_row(draws, 1 + draws.below(5)) for name in names}
        lines = "".join(f"\n{name}: {meaning}" for name, meaning in meanings.items())
        asked = draws.sample(names, 1 + draws.below(4))
        return f"List:{lines}\nRead out: {', '.join(asked)}", "\n ".join(meanings[name] for name in asked)

    def choose(self, draws):
        code, term = draws.choice(self._terms)
        if code.title not in self._allowed:
            return None
        options = draws.shuffled(options_for(code, [code.title], self._allowed, draws))
        if len(options) < 3:
            return None
        lines = "".join(f"\n- {option}" for option in options)
        pair = f"Titles:{lines}\nBest for: {abbreviate(term, 'base', draws, 0.3)}", code.title
        alike = {word for word in set(_WORD.findall(term)) & set(_WORD.findall(code.title)) if word not in _KEPT}
        return self.renew(pair, draws) if alike and draws.chance(0.5) else pair

    def choose_or_none(self, draws):
        """`choose` where the right title may be missing."""
        pair = self.choose(draws)
        if pair is None or draws.chance(0.6):
            return pair
        titles, _, rest = pair[0].partition("\nBest for: ")
        lines = [line for line in titles.split("\n") if line != f"- {pair[1]}"]
        return "\n".join(lines) + f"\nBest for: {rest}", "not there"

    def choose_two(self, draws):
        """The titles of two terms, in the order of the titles."""
        code, term = draws.choice(self._terms)
        near = [other for other in siblings(code)[0] if other.name in self._terms_of and other.title in self._allowed]
        if code.title not in self._allowed or not near:
            return None
        other = draws.choice(near)
        if other.title == code.title:
            return None
        options = draws.shuffled(options_for(code, [code.title, other.title], self._allowed, draws))
        if len(options) < 3:
            return None
        terms = draws.shuffled([term, draws.choice(self._terms_of[other.name])])
        lines = "".join(f"\n- {option}" for option in options)
        answer = " / ".join(option for option in options if option in (code.title, other.title))
        return f"Titles:{lines}\nBest for: {' / '.join(terms)}", answer

    def place(self, draws):
        """Chapter and section headings of a term or title."""
        code, text = draws.choice(self._terms)
        if draws.chance(0.4):
            code = draws.choice(self._codes)
            text = code.title
        if draws.chance(0.5):  # some of its words only: each tells something
            words = text.split()
            text = " ".join(word for word in words if draws.chance(0.6)) or draws.choice(words)
        return f"Find the part: {text}", f"{self._tabular.chapter_titles[code.chapter]}; {code.section}"

    def note_kind(self, draws):
        code, note = draws.choice(self._scarce if draws.chance(0.65) else self._noted)
        return f"How does it stand to: {code.title}\nThis: {bare_note(note.text)}", _SAYS[note.kind]

    def note_text(self, draws):
        code, note = draws.choice(self._noted)
        return f"Give for: {code.title}\nSuch as: {_SAYS[note.kind]}", bare_note(note.text)

    def _notes(self, draws):
        """(a code, notes of it and of a neighbour)"""
        group = draws.choice(self._groups)
        code = draws.choice(group)
        other = draws.choice([near for near in group if near is not code])
        notes = scene(code, other, draws, 1)
        if draws.chance(0.7):  # kinds at random: only the cues tell
            notes += scene(other, code, draws, 1)
            kinds = draws.sample(sorted(CUES), 3)
            notes = list({text: (holder, draws.choice(kinds), text) for holder, _, text in notes}.values())[:5]
        return code, notes

    def ask(self, draws):
        code, notes = self._notes(draws)
        own = sorted({kind for holder, kind, _ in notes if holder is code})
        if len(notes) < 2 or not own:
            return None
        kind = draws.choice(own)
        answer = " + ".join(text for holder, text_kind, text in notes if holder is code and text_kind == kind)
        return f"Question: {question(kind, code.title, 'base', draws)}\nLines:{scene_text(notes, 'base', draws)}", answer

    def ask_more(self, draws):
        """Several questions on one scene, answered line by line."""
        _, notes = self._notes(draws)
        texts = {}
        for holder, kind, text in notes:
            texts.setdefault((holder.title, kind), []).append(text)
        asked = draws.sample(list(texts), 3)
        if len(asked) < 2:
            return None
        questions = "".join(f"\n- {question(kind, title, 'base', draws)}" for title, kind in asked)
        return f"Lines:{scene_text(notes, 'base', draws)}\nQuestions:{questions}", "\n ".join(" + ".join(texts[key]) for key in asked)

    def name_child(self, draws):
        code = draws.choice(self._codes)
        if code.parent is None:
            return None
        runs = additions(code.parent.title, code.title)
        if runs is None:
            return None
        notes = ", ".join(abbreviate(run, "base", draws, 0.6) for run in draws.shuffled(runs))
        return f"Add to the name: {notes}\nName: {code.parent.title}", code.title

    def kinds_of(self, draws):
        code = draws.choice(self._codes)
        names = [child.title for child in code.children]
        text = " | ".join(draws.sample(names, 4))
        return (f"Some kinds of: {code.title}", text) if names and len(text) <= 240 else None


@dataclass(frozen=True)
class Stage:
    rows: int
    first: int  # number of its first draw: no two stages share one
    syllables: object  # of invented words
    mix: tuple  # (sort, how many of a hundred)


# The second stage is for what comes last: finding lines among several, and saying that there is none. It has every sort of the
# first, for a sign that no exercise writes is unlearned.
STAGES = {
    "words": Stage(300000, 0, syllables_of_words, (
        ("expand", 11), ("take_apart", 11), ("findings", 6), ("copy", 7), ("continue_after", 4), ("pick", 9), ("choose", 12),
        ("place", 15), ("note_kind", 5), ("note_text", 1), ("ask", 12), ("name_child", 6), ("kinds_of", 1),
    )),
    "choices": Stage(200000, 10**8, syllables_of_tokens, (
        ("expand", 5), ("take_apart", 5), ("findings", 3), ("copy", 6), ("continue_after", 4), ("pick", 8), ("look_up", 14),
        ("choose", 8), ("choose_or_none", 6), ("choose_two", 4), ("place", 7), ("note_kind", 6), ("note_text", 1), ("ask", 9),
        ("ask_more", 9), ("name_child", 3), ("kinds_of", 2),
    )),
}  # fmt: skip
# Those that are renewed, six times in ten; `choose` sees to it by itself, where term and title share words.
_RENEWED = ("expand", "take_apart", "findings", "copy", "pick", "ask", "ask_more", "name_child")


def build(tabular, stage, count=None):
    """{"exercises/train": rows, …}: `count` exercises to train on and 500 more for dev, some of both as plain text."""
    exercises = Exercises(tabular, STAGES[stage].syllables)
    sorts = [name for name, share in STAGES[stage].mix for _ in range(share)]
    count = count or STAGES[stage].rows
    files = {f"{kind}/{where}": [] for kind in ("exercises", "text") for where in ("train", "dev")}
    made, number = 0, STAGES[stage].first
    while made < count + 500:
        draws = Draws("exercise", number)
        number += 1
        name = draws.choice(sorts)
        pair = getattr(exercises, name)(draws)
        if pair is None:
            continue
        if name in _RENEWED and draws.chance(0.6):
            pair = exercises.renew(pair, draws)
        where = "dev" if made < 500 else "train"
        made += 1
        if draws.chance(_TEXT_SHARE):
            files[f"text/{where}"].append({"text": _AS_TEXT.format(*pair), "sample_id": f"{name}-{number}"})
        else:
            row = {"input": pair[0], "target": pair[1], "task_dataset": "exercises", "sample_id": f"{name}-{number}"}
            files[f"exercises/{where}"].append(row)
    return files
