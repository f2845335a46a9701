"""Hand-written rules, one a task, for trivial.py. They know the plain words and the forms of training rows."""

import re

from choice_tasks import CHAPTERS, CRITERIA, NONE
from lexicon import ABSENT, CAUSE, ENCOUNTERS, NO_SIDE, PRESENT, UNKNOWN, WORDS
from scores import words
from text_tasks import CUES, MORE_QUESTIONS, QUESTIONS

_FORMS = {form: word for word, (training, _) in WORDS.items() for form in training}
_FORM = re.compile(r"(?<![\w/])(" + "|".join(sorted(map(re.escape, _FORMS), key=len, reverse=True)) + r")(?![\w/])")
_STOP = {"of", "and", "the", "in", "with", "or", "to", "due", "nos", "other", "unspecified", "a", "by", "without"}


def expand(text):
    return _FORM.sub(lambda match: _FORMS[match.group(1)], text)


def content(text):
    return {word.rstrip("s") for word in words(text) if word not in _STOP}


# normalise
def term_and_options(text):
    options, _, term = text.removeprefix("Among:\n").rpartition("\nName: ")
    return expand(term), [line.removeprefix("- ") for line in options.split("\n")]


def normalise(text, _models):
    term, options = term_and_options(text)
    mine = content(term)
    overlap = {option: len(mine & content(option)) / (len(mine | content(option)) or 1) for option in options if option != NONE}
    best = max(overlap, key=overlap.get)
    return best if overlap[best] else NONE


def option_features(term, option):
    shared = len(content(term) & content(option))
    return [*words(option), f"#shared{min(shared, 3)}", *(f"#nos-{word}" for word in words(option) if "nos" in words(term))]


# chapter and criterion
_CHAPTER_WORDS = {
    "eye": "eye ocular retinal corneal vision lens", "ear": "ear hearing otitis", "skin": "skin dermatitis eczema",
    "neoplasm": "neoplasm carcinoma lymphoma leukemia tumor sarcoma", "pregnancy": "pregnancy labor delivery maternal puerperal",
    "perinatal": "newborn neonatal fetal", "congenital": "congenital", "injury": "injury fracture wound burn poisoning toxic",
    "infectious": "infection infections viral tuberculosis due", "circulatory": "heart cardiac artery venous",
    "respiratory": "lung bronchitis respiratory pneumonia", "digestive": "intestine gastric liver hernia dental",
    "mental": "disorder dependence abuse psychotic anxiety", "nervous": "epilepsy nerve palsy encephalopathy",
    "musculoskeletal": "joint arthritis bone muscle spine", "genitourinary": "kidney bladder uterus ovary urinary prostate",
    "blood": "anemia blood", "endocrine": "diabetes thyroid deficiency metabolic", "symptom": "abnormal pain nos",
    "external cause": "accident vehicle assault collision", "health service": "encounter history screening status presence",
}  # fmt: skip


def chapter(text, _models):
    mine = words(text.removeprefix("Field: "))
    hits = {label: sum(word in clues.split() for word in mine) for label, clues in _CHAPTER_WORDS.items()}
    best = max(hits, key=hits.get)
    return best if hits[best] else "injury"


def title_and_note(text):
    title, _, note = text.partition("\nNote: ")
    return title.removeprefix("Title: "), note


def criterion(text, _models):
    title, note = title_and_note(text)
    mine, its = content(note), content(title)
    if " nos" in note or len(mine & its) * 2 >= len(mine):
        return CRITERIA["inclusion"]
    return CRITERIA["excludes1"]


def criterion_features(text):
    title, note = title_and_note(text)
    return [*(f"title-{word}" for word in words(title)), *words(note)]


# relation, event and polarity
def _matches(entry, segment, forms):
    """The words inside a frame's form that a segment has, or None."""
    for form in (entry[0], *entry[1]) if forms else (entry[0],):
        before, _, after = form.partition("{}")
        if "{}" not in form:
            if segment == form:
                return ""
        elif segment.startswith(before) and segment.endswith(after) and len(segment) > len(before) + len(after):
            return segment[len(before) : len(segment) - len(after)].strip()
    return None


def segments(text):
    text = expand(text.removeprefix("Structure: "))
    return [piece.strip() for piece in re.split(r"[,;] | - | / |: ", text) if piece.strip()]


def read_phrase(text, models):
    """What the rule finds in a phrased title: a dict of kind, site, side, cause, encounter, extras and findings."""
    found = {"kind": "", "site": "", "side": "", "cause": "", "encounter": "", "extras": [], "findings": []}
    plain = []
    for segment in segments(text):
        encounter = next((name for name, entry in ENCOUNTERS.items() if _matches(entry, segment, True) is not None), None)
        extra = re.fullmatch(r"(trimester|stage|severity) (\S+)", segment)
        finding = next(
            ((inner, status) for entry, status in ((ABSENT, "absent"), (PRESENT, "present"), (UNKNOWN, "unspecified"))
             if (inner := _matches(entry, segment, True))), None,
        )  # fmt: skip
        if encounter:
            found["encounter"] = encounter
        elif _matches(NO_SIDE, segment, True) is not None:
            found["side"] = "unspecified"
        elif extra:
            found["extras"].append(extra.groups())
        elif (cause := _matches(CAUSE, segment, True)) is not None:
            found["cause"] = cause
        elif finding:
            status = models["status"].best(words(segment)) if "status" in models else finding[1]
            found["findings"].append((finding[0], status))
        else:
            plain.append(segment)
    for segment in plain:
        what, of, place = segment.partition(" of ")
        side = re.search(r"\b(left|right|bilateral)\b", segment)
        if of and not found["site"] and not found["kind"]:
            found["kind"], found["site"] = what, place
        elif side and not found["site"] and len(plain) > 1:
            found["site"] = segment
        elif not found["kind"]:
            found["kind"] = segment
        elif not found["site"]:
            found["site"] = segment
    side = re.search(r"\b(left|right|bilateral)\b", found["site"])
    if side:
        found["side"] = side.group(1)
        found["site"] = " ".join(re.sub(rf"\b{side.group(1)}\b", "", found["site"]).split())
    for part in ("side", "encounter"):
        if part in models:
            found[part] = models[part].best(words(text))
    return found


def relation(text, models):
    found = read_phrase(text, models)
    course, kind = "", found["kind"]
    match = re.fullmatch(r"(acute|chronic|subacute|recurrent|congenital|acquired|primary|secondary) (.+)", kind)
    if match:
        course, kind = match.groups()
    pairs = [("course", course), ("site", found["site"]), ("side", found["side"].replace("unspecified", "")), ("cause", found["cause"])]
    pairs += found["extras"] + [("with", finding) for finding, status in found["findings"] if status == "present"]
    return "\n".join(f"( {kind} | {attribute} | {value} )" for attribute, value in pairs if value) or NONE


def event(text, models):
    found = read_phrase(text, models)
    side, encounter = found["side"] or "unspecified", found["encounter"] or "initial"
    return f"site: {found['site']}; kind: {found['kind']}; side: {side}; encounter: {encounter}"


def polarity(text, models):
    return "\n".join(f"{finding}: {status}" for finding, status in read_phrase(text, models)["findings"]) or NONE


# report
def _parent_and_additions(text):
    parent, _, new = text.partition("\nNew: ")
    return parent.removeprefix("Under: "), [expand(run) for run in new.split("; ")]


def report(text, models):
    title, runs = _parent_and_additions(text)
    for run in runs:
        ahead = models["place"].best(words(run)) == "ahead" if "place" in models else False
        title = f"{run} {title}" if ahead else f"{title} {run}"
    return title


# dialogue
def _notes_and_question(text):
    scene, _, asked = text.partition("\nAsk: ")
    notes = []
    for line in scene.split("\n")[1:]:
        before, _, note = line.partition(": ")
        title, _, cue = before.rpartition(", ")
        notes.append((title, cue, note))
    return notes, asked


def dialogue(text, models):
    notes, asked = _notes_and_question(text)
    asked = content(expand(asked))
    alike = {title: len(asked & content(title)) / len(content(title) or " ") for title, _, _ in notes}
    mine = [note for note in notes if note[0] == max(alike, key=alike.get)]
    if "kind" not in models:
        return mine[0][2]
    kind = models["kind"].best(words(text.partition("\nAsk: ")[2]))
    chosen = [note for _, cue, note in mine if models["cue"].best(words(cue)) == kind]
    return "; ".join(chosen) or mine[0][2]


def closed_parts(task, train):
    """{part: (features, label) examples} from training rows, for the parts that naive Bayes decides."""
    if task == "event":
        fields = [(words(row["input"]), dict(part.split(": ", 1) for part in row["target"].split("; "))) for row in train]
        return {part: [(features, values[part]) for features, values in fields] for part in ("side", "encounter")}
    if task == "relation":
        sides = re.compile(r"\| side \| (\w+) \)")
        return {"side": [(words(row["input"]), (sides.search(row["target"]) or [0, ""])[1]) for row in train]}
    if task == "polarity":
        examples = []
        for row in train:
            status_of = dict(line.strip().rsplit(": ", 1) for line in row["target"].split("\n"))
            for segment in segments(row["input"]):
                status = next((status for finding, status in status_of.items() if finding in segment), None)
                if status:
                    examples.append((words(segment), status))
        return {"status": examples}
    if task == "report":
        examples = []
        for row in train:
            parent, runs = _parent_and_additions(row["input"])
            examples += [(words(run), "ahead" if row["target"].startswith(run) else "behind") for run in runs]
        return {"place": examples}
    asked = [(words(question), kind) for kind, (training, _) in QUESTIONS.items() for question in (*training, *MORE_QUESTIONS[kind])]
    cues = [(words(form), kind) for kind, (plain, training, _) in CUES.items() for form in (plain, *training)]
    return {"kind": asked, "cue": cues}


RULES = {
    "normalise": normalise,
    "chapter": chapter,
    "criterion": criterion,
    "relation": relation,
    "event": event,
    "polarity": polarity,
    "report": report,
    "dialogue": dialogue,
}
assert set(_CHAPTER_WORDS) == set(CHAPTERS.values())
