"""normalise, chapter and criterion: a term or a note in, a choice out."""

import re

from draws import Draws
from lexicon import abbreviate, contains_form, foreign_word_forms

CHAPTERS = {
    1: "infectious", 2: "neoplasm", 3: "blood", 4: "endocrine", 5: "mental", 6: "nervous", 7: "eye", 8: "ear",
    9: "circulatory", 10: "respiratory", 11: "digestive", 12: "skin", 13: "musculoskeletal", 14: "genitourinary",
    15: "pregnancy", 16: "perinatal", 17: "congenital", 18: "symptom", 19: "injury", 20: "external cause", 21: "health service",
}  # fmt: skip
CRITERIA = {
    "inclusion": "includes",
    "excludes1": "never together",
    "excludes2": "may be together",
    "additional": "add code",
    "first": "code first",
    "also": "code also",
}
NONE = "none"
OPTIONS = 8
_OPTIONS_CHARACTERS = 330

# Words that give a note's kind away: stripped before the note is shown.
_CUES = re.compile(
    r"^(?:,? ?(?:if|when|where) (?:applicable|known|present)\b|,? ?code,? (?:to|for|from|also|first)?(?: further)?"
    r"(?: (?:identify|specify|identified|associated))?\b|to (?:identify|specify)|any|associated|underlying|applicable|such as|"
    r"the|specific|type of|additional|related|\W)+"
)
_CUE_TAILS = re.compile(r"(?:,? ?(?:such as|if applicable|if known|if present|when applicable|code to|and|or|with)\b.*$|[ ,:;-]+$)")


def usable_terms(tabular, where):
    """(code, inclusion term) of a set: terms that are no title, are held by one code only and are short."""
    holders = {}
    for code in tabular.of_set(where):
        for note in code.notes:
            if note.kind == "inclusion":
                holders.setdefault(note.text, []).append(code)
    titles = {code.title for code in tabular.codes}
    return [
        (codes[0], term)
        for term, codes in holders.items()
        if len(codes) == 1 and term not in titles and 4 <= len(term) <= 70 and ";" not in term
    ]


def siblings(code):
    """Codes beside a code, nearest first: its parent's other children, then cousins of the same category."""
    near = [other for other in (code.parent.children if code.parent else ()) if other is not code]
    root = code
    while root.parent:
        root = root.parent
    queue, cousins = list(root.children), []
    while queue:
        other = queue.pop(0)
        queue.extend(other.children)
        if other is not code and other not in near and other is not code.parent:
            cousins.append(other)
    return near, cousins


def options_for(code, taken, allowed, draws):
    """Titles to stand beside the right one: up to OPTIONS in all, short enough together."""
    near, cousins = siblings(code)
    options, length = list(taken), sum(map(len, taken))
    for other in draws.shuffled(near) + draws.shuffled(cousins):
        title = other.title
        fits = length + len(title) <= _OPTIONS_CHARACTERS
        if len(options) < OPTIONS and fits and title in allowed and title not in options and ";" not in title:
            options.append(title)
            length += len(title)
    return options


def normalise(tabular, where, limit, row):
    allowed, foreign = tabular.titles_of[where], foreign_word_forms(where)
    rows, per_category = [], {}
    terms = usable_terms(tabular, where)
    terms_of = {}
    for code, term in terms:
        terms_of.setdefault(code.name, []).append(term)
    for code, term in Draws("normalise", where).shuffled(terms):
        if len(rows) >= limit or per_category.get(code.category, 0) >= 15 or code.title not in allowed or ";" in code.title:
            continue
        draws = Draws("normalise", where, code.name, term)
        right, text = [code.title], term
        partners = [near for near in siblings(code)[0] if near.name in terms_of and near.title in allowed and ";" not in near.title]
        if partners and draws.chance(0.15):
            partner = draws.choice(partners)
            if partner.title != code.title:
                right.append(partner.title)
                text = f"{term} + {draws.choice(terms_of[partner.name])}"
        options = options_for(code, right, allowed, draws)
        text = abbreviate(text, where, draws, rate=0.7)
        if len(options) < 4 or sum(map(len, right)) > 140 or contains_form(text, foreign):
            continue
        if len(right) == 1 and draws.chance(0.12):
            options, right = [option for option in options if option not in right], [NONE]
        options = draws.shuffled(options)
        per_category[code.category] = per_category.get(code.category, 0) + 1
        lines = "".join(f"\n- {option}" for option in options)
        answer = "; ".join(option for option in [*options, NONE] if option in right)
        rows.append(row("normalise", code, f"Among:{lines}\n- {NONE}\nName: {text}", answer, code.title, [*options, NONE]))
    return rows


def chapter(tabular, where, limit, row):
    rows, per_category = [], {}
    for code, term in Draws("chapter", where).shuffled(usable_terms(tabular, where)):
        if len(rows) < limit and per_category.get(code.category, 0) < 15 and code.chapter in CHAPTERS:
            per_category[code.category] = per_category.get(code.category, 0) + 1
            label = CHAPTERS[code.chapter]
            rows.append(row("chapter", code, f"Field: {term}", label, code.title, list(CHAPTERS.values())))
    return rows


def bare_note(text):
    """A note's text without the phrases that tell its kind, or "" where too little is left."""
    text = _CUE_TAILS.sub("", _CUES.sub("", text)).strip(" ,:;-")
    return text if 4 <= len(text) <= 90 and len(text.split()) <= 12 else ""


def criterion(tabular, where, limit, row):
    by_kind = {kind: [] for kind in CRITERIA}
    seen = set()
    for code in tabular.of_set(where):
        for note in code.notes:
            text = bare_note(note.text)
            if text and len(code.title) <= 90 and code.title in tabular.titles_of[where] and (code.name, text) not in seen:
                seen.add((code.name, text))
                by_kind[note.kind].append((code, note.kind, text))
    draws = Draws("criterion", where)
    # Two kinds make up four notes in five: no kind is more than a quarter of what was asked for.
    chosen = [note for kind in CRITERIA for note in draws.sample(by_kind[kind], limit // 4)]
    return [
        row("criterion", code, f"Title: {code.title}\nNote: {text}", CRITERIA[kind], code.title, list(CRITERIA.values()))
        for code, kind, text in draws.sample(chosen, limit)
    ]
