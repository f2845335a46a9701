"""Says a title's parts as a clinician's note would: reordered, rephrased, abbreviated.

The orders differ between sets as the forms of lexicon.py do; the base's exercises use all of them.
"""

from lexicon import ABSENT, CAUSE, ENCOUNTERS, NO_SIDE, PRESENT, UNKNOWN, abbreviate, frame

# Encounter classes of the seventh-character table, by what its text says.
_ENCOUNTER_CUES = (
    ("sequela", "sequela"),
    ("nonunion", "nonunion"),
    ("malunion", "malunion"),
    ("delayed healing", "delayed healing"),
    ("subsequent", "subsequent"),
    ("initial", "initial"),
)
_FINDING_FRAMES = {"present": PRESENT, "absent": ABSENT, "unspecified": UNKNOWN}


def encounter_class(text):
    """`initial`, `subsequent`, … for a seventh character's text, or None where it says nothing of an encounter."""
    return next((name for cue, name in _ENCOUNTER_CUES if cue in text), None)


def head(parts):
    return f"{parts.course} {parts.what}" if parts.course else parts.what


def plain(parts):
    """The parts in ordinary words and one fixed order: what expanding any phrasing gives back."""
    place = " ".join(word for word in (parts.side if parts.side != "unspecified" else "", parts.site) if word)
    if parts.side == "bilateral":
        place = ("both sides of " + parts.site) if parts.site else "both sides"
    text = head(parts) + (f" of {place}" if parts.site else f", {place}" if place else "")
    text += f" due to {parts.cause}" if parts.cause else ""
    words = {"present": "with {}", "absent": "without {}", "unspecified": "{} unspecified"}
    clauses = [words[status].format(finding) for finding, status in parts.findings]
    clauses += [f"{attribute} {value}" for attribute, value in parts.extras]
    return ", ".join([text, *clauses])


def _place(parts, where, draws):
    if not parts.side:
        return parts.site
    if parts.side == "unspecified":
        return f"{parts.site}, {frame(NO_SIDE, where, draws)}".removeprefix(", ")
    return f"{parts.side} {parts.site}".strip() if draws.chance(0.6) else f"{parts.site} {parts.side}".strip()


def _join_training(what, place, cause, clauses, encounter, draws):
    if draws.chance(0.5):
        text = f"{what} of {place}" if place and not place.startswith(("unspecified", "side")) else what
        text += f" {cause}" if cause else ""
        return "; ".join(text_part for text_part in (text, *clauses, encounter) if text_part)
    return ", ".join(part for part in (what, place, *clauses, cause, encounter) if part)


def _join_test(what, place, cause, clauses, encounter, draws):
    if draws.chance(0.5):
        text = f"{place}: {what}" if place else what
        return " - ".join(part for part in (encounter, text, cause, *clauses) if part)
    return " / ".join(part for part in (*clauses, place, what, cause, encounter) if part)


def phrase(parts, where, draws, encounter=None):
    """One phrasing for rows of set `where`; `encounter` is a key of lexicon.ENCOUNTERS."""
    clauses = [frame(_FINDING_FRAMES[status], where, draws).format(finding) for finding, status in parts.findings]
    clauses += [f"{attribute} {value}" for attribute, value in parts.extras]
    cause = frame(CAUSE, where, draws).format(parts.cause) if parts.cause else ""
    visit = frame(ENCOUNTERS[encounter], where, draws) if encounter else ""
    join = {"train": _join_training, "dev": _join_training, "test": _join_test}.get(where)
    if join is None:
        join = _join_training if draws.chance(0.5) else _join_test
    text = join(head(parts), _place(parts, where, draws), cause, draws.shuffled(clauses), visit, draws)
    return abbreviate(text, where, draws)
