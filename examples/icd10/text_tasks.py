"""report and dialogue: text in, text out."""

from difflib import SequenceMatcher

from draws import Draws
from lexicon import abbreviate

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


def scene_kind(kind):
    return "excludes" if kind.startswith("excludes") else kind


def side_forms(entry, where):
    """The forms that rows of a set use, of a (training, test) pair."""
    training, test = entry
    return {"train": training, "dev": training, "test": test, "base": training + test}[where]


def cue(kind, where, draws):
    entry = CUES[kind]
    return entry[0] if draws.chance(1 / 3) else draws.choice(side_forms(entry[1:], where))


def question(kind, title, where, draws):
    return draws.choice(side_forms(QUESTIONS[kind], where)).format(title)


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
    allowed = tabular.titles_of[where]
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
        rows.append(row("report", code, f"Under: {parent.title}\nNew: {notes}", code.title, parent.title))
    return rows


def scene(codes, where, draws, lines=5):
    """Note lines of a few codes in a drawn order: (code, kind, text) of each, the kinds as asked for."""
    notes, seen = [], set()
    for code in codes:
        for note in draws.sample(code.notes, 3):
            if 4 <= len(note.text) <= 60 and ";" not in note.text and note.text not in seen:
                seen.add(note.text)
                notes.append((code, scene_kind(note.kind), note.text))
    return draws.sample(notes, lines)


def scene_text(notes, where, draws):
    cues = {}
    for code, kind, _ in notes:
        cues.setdefault((code.name, kind), cue(kind, where, draws))
    return "".join(f"\n{code.title}, {cues[code.name, kind]}: {text}" for code, kind, text in notes)


def neighbours(tabular, where):
    """Codes with notes and a short title, in groups of one section."""
    groups = {}
    for code in tabular.of_set(where):
        if code.notes and len(code.title) <= 45 and code.title in tabular.titles_of[where]:
            groups.setdefault(code.section, []).append(code)
    return [group for group in groups.values() if len(group) >= 2]


def dialogue(tabular, where, limit, row):
    rows = []
    groups = neighbours(tabular, where)
    order = Draws("dialogue", where).shuffled([(group, code) for group in groups for code in group] * 3)
    asked = set()
    for number, (group, code) in enumerate(order):
        if len(rows) >= limit:
            break
        draws = Draws("dialogue", where, code.name, number)
        other = draws.choice([near for near in group if near is not code])
        notes = scene((code, other), where, draws)
        kinds = sorted({kind for holder, kind, _ in notes if holder is code})
        if len(notes) < 3 or not kinds:
            continue
        kind = draws.choice(kinds)
        answer = "; ".join(text for holder, text_kind, text in notes if holder is code and text_kind == kind)
        text = f"Notes:{scene_text(notes, where, draws)}\nAsk: {question(kind, code.title, where, draws)}"
        if text not in asked and len(answer) <= 150:
            asked.add(text)
            rows.append(row("dialogue", code, text, answer, code.title))
    return rows
