"""report and dialogue: text in, text out."""

from difflib import SequenceMatcher

from draws import Draws
from lexicon import abbreviate, contains_form, foreign_word_forms

# How a note of each kind is marked in a scene, and how it is asked for: (plain, (training forms), (test forms)).
CUES = {
    "inclusion": ("means", ("same as",), ("alias",)),
    "excludes": ("not here", ("elsewhere",), ("kept out",)),
    "additional": ("add", ("plus",), ("append",)),
    "first": ("first", ("before it",), ("ahead",)),
    "also": ("also", ("beside it",), ("jointly",)),
}
QUESTIONS = {
    "inclusion": (("what else is {} called?", "what does {} cover?"), ("other names of {}?", "which terms fall under {}?")),
    "excludes": (("what is not part of {}?", "what does {} leave out?"), ("what goes elsewhere than {}?", "exceptions to {}?")),
    "additional": (("what is added to {}?", "what is coded on top of {}?"), ("which extra code does {} take?", "{} needs what more?")),
    "first": (("what comes before {}?", "what is coded ahead of {}?"), ("what leads {}?", "which cause precedes {}?")),
    "also": (("what is coded beside {}?", "what accompanies {}?"), ("what goes along with {}?", "companions of {}?")),
}


# More ways to ask, of training rows alone: from two a small model learns the words instead of what they mean.
MORE_QUESTIONS = {
    "inclusion": ("{}: what is it also known as?", "what is another word for {}?", "synonyms of {}?", "what is the same as {}?"),
    "excludes": ("what isn't {}?", "{}: what is classified otherwise?", "what must not be counted as {}?", "what is apart from {}?"),
    "additional": ("{}: which code is given as well?", "what does {} want on top?", "more codes for {}?", "what is put after {}?"),
    "first": ("{}: what is named before it?", "what is behind {}?", "what underlies {}?", "what has to be coded earlier than {}?"),
    "also": ("{}: what is coded too?", "what is given side by side with {}?", "what belongs with {}?", "what stands next to {}?"),
}


def scene_kind(kind):
    return "excludes" if kind.startswith("excludes") else kind


def side_forms(entry, where):
    """The forms that rows of a set use, of a (training, test) pair."""
    training, test = entry
    return {"train": training, "dev": training, "test": test, "base": training + test}[where]


def cue(kind, where, draws):
    """A cue of the scene; test rows have the plain ones."""
    entry = CUES[kind]
    if where == "test":
        return entry[0]
    return entry[0] if draws.chance(1 / 3) else draws.choice(side_forms(entry[1:], where))


def question(kind, title, where, draws):
    forms = side_forms(QUESTIONS[kind], where)
    if where in ("train", "dev"):
        forms += MORE_QUESTIONS[kind]
    return draws.choice(forms).format(abbreviate(title, where, draws))


def additions(parent, title):
    """The runs of words that a title has and its parent hasn't; None where the two share too little."""
    old, new = parent.split(), title.split()
    runs, shared = [], 0
    for tag, first, last, start, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            shared += last - first
        elif stop > start:
            runs.append(" ".join(new[start:stop]).strip(","))
    words = sum(len(run.split()) for run in runs)
    return runs if runs and 2 * shared >= len(old) and words <= 6 and len(runs) <= 3 else None


def report(tabular, where, limit, row):
    allowed, foreign = tabular.titles_of[where], foreign_word_forms(where)
    rows, per_parent = [], {}
    for code in Draws("report", where).shuffled(tabular.of_set(where)):
        parent = code.parent
        if len(rows) >= limit or parent is None or code.title not in allowed or parent.title not in allowed:
            continue
        if per_parent.get(parent.category, 0) >= 25 or len(code.title) > 90 or len(parent.title) > 80:
            continue
        runs = additions(parent.title, code.title)
        if runs is None:
            continue
        draws = Draws("report", where, code.name)
        per_parent[parent.category] = per_parent.get(parent.category, 0) + 1
        notes = "; ".join(abbreviate(run, where, draws, rate=0.7) for run in draws.shuffled(runs))
        if contains_form(notes, foreign):
            continue
        rows.append(row("report", code, f"Under: {parent.title}\nNew: {notes}", code.title, parent.title))
    return rows


def notes_by_kind(code):
    """{kind as asked for: the code's notes that are short enough for a scene}"""
    kinds = {}
    for note in code.notes:
        texts = kinds.setdefault(scene_kind(note.kind), [])
        if 4 <= len(note.text) <= 50 and ";" not in note.text and note.text not in texts:
            texts.append(note.text)
    return {kind: texts for kind, texts in kinds.items() if texts}


def scene(code, other, draws, kinds_of_code):
    """Note lines of two codes in a drawn order, (code, kind, text) each: of the first code one or two notes of each of
    `kinds_of_code` kinds, of the other one or two of any kind. Empty where the first code has too few kinds."""
    own = notes_by_kind(code)
    if len(own) < kinds_of_code:
        return []
    notes = []
    for kind in draws.sample(sorted(own), kinds_of_code):
        notes += [(code, kind, text) for text in draws.sample(own[kind], 1 + draws.below(2))]
    taken = {text for _, _, text in notes}
    others = [(other, kind, text) for kind, texts in notes_by_kind(other).items() for text in texts if text not in taken]
    return draws.shuffled(notes + draws.sample(others, 1 + draws.below(2)))


def scene_text(notes, where, draws):
    cues = {}
    for code, kind, _ in notes:
        cues.setdefault((code.name, kind), cue(kind, where, draws))
    return "".join(f"\n{code.title}, {cues[code.name, kind]}: {text}" for code, kind, text in notes)


def neighbours(tabular, where):
    """Codes with notes and a short title, in groups of one section."""
    groups = {}
    for code in tabular.of_set(where):
        if notes_by_kind(code) and len(code.title) <= 60 and code.title in tabular.titles_of[where]:
            groups.setdefault(code.section, []).append(code)
    return [group for group in groups.values() if len(group) >= 2]


def dialogue(tabular, where, limit, row):
    """Only codes with notes of two kinds are asked about, so that the question decides between them."""
    rows, asked, foreign = [], set(), foreign_word_forms(where)
    groups = neighbours(tabular, where)
    pool = [(group, code) for group in groups for code in group if len(notes_by_kind(code)) >= 2]
    for number, (group, code) in enumerate(pair for copy in range(6) for pair in Draws("dialogue", where, copy).shuffled(pool)):
        if len(rows) >= limit:
            break
        draws = Draws("dialogue", where, code.name, number)
        other = draws.choice([near for near in group if near is not code])
        notes = scene(code, other, draws, 2)
        kind = draws.choice(sorted({kind for holder, kind, _ in notes if holder is code}))
        answer = "; ".join(text for holder, text_kind, text in notes if holder is code and text_kind == kind)
        asking = question(kind, code.title, where, draws)
        text = f"Notes:{scene_text(notes, where, draws)}\nAsk: {asking}"
        if text not in asked and len(answer) <= 110 and not contains_form(asking, foreign):
            asked.add(text)
            rows.append(row("dialogue", code, text, answer, code.title))
    return rows
