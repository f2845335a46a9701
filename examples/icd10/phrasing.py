"""Says a title's parts as a clinician's note would: reordered, rephrased, abbreviated.

The orders differ between sets, though less than the forms of lexicon.py do: of four, training rows have three and test rows two, one of
them their own. The base's exercises use all.
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


def _of_place(what, place, cause, clauses, encounter):
    text = f"{what} of {place}" if place and not place.startswith(("unspecified", "side", "no side")) else what
    text += f" {cause}" if cause else ""
    return "; ".join(part for part in (text, *clauses, encounter) if part)


def _commas(what, place, cause, clauses, encounter):
    return ", ".join(part for part in (what, place, *clauses, cause, encounter) if part)


def _place_first(what, place, cause, clauses, encounter):
    text = f"{place}: {what}" if place else what
    return " - ".join(part for part in (encounter, text, cause, *clauses) if part)


def _clauses_first(what, place, cause, clauses, encounter):
    return " / ".join(part for part in (*clauses, place, what, cause, encounter) if part)


_ORDERS = {
    "base": (_of_place, _commas, _place_first, _clauses_first),
    "train": (_of_place, _commas, _place_first),
    "dev": (_of_place, _commas, _place_first),
    "test": (_place_first, _clauses_first),
}


def phrase(parts, where, draws, encounter=None):
    """One phrasing for rows of set `where`; `encounter` is a key of lexicon.ENCOUNTERS."""
    clauses = [frame(_FINDING_FRAMES[status], where, draws).format(finding) for finding, status in parts.findings]
    clauses += [f"{attribute} {value}" for attribute, value in parts.extras]
    cause = frame(CAUSE, where, draws).format(parts.cause) if parts.cause else ""
    visit = frame(ENCOUNTERS[encounter], where, draws) if encounter else ""
    join = draws.choice(_ORDERS[where])
    text = join(head(parts), _place(parts, where, draws), cause, draws.shuffled(clauses), visit)
    return abbreviate(text, where, draws)
