"""Surface forms: how notes abbreviate and rephrase a title's words.

Every word has forms that only training rows use and forms that only test rows use (dev rows use the training forms). The base's exercises
use both, so that the base knows what a form means and fine-tuning has to carry a task's convention over to forms it never saw there.
"""

import re

# word(s) of a title: (forms in training rows, forms in test rows)
WORDS = {
    "left": (("lt", "l."), ("lft", "(l)")),
    "right": (("rt", "r."), ("rgt", "(r)")),
    "bilateral": (("bilat", "both sides"), ("b/l", "two-sided")),
    "fracture": (("fx",), ("frac",)),
    "displaced": (("displ",), ("dspl",)),
    "nondisplaced": (("non-displ",), ("undispl",)),
    "dislocation": (("disloc",), ("dislcn",)),
    "subluxation": (("sublux",), ("subl",)),
    "laceration": (("lac",), ("lacn",)),
    "contusion": (("contus",), ("bruise",)),
    "injury": (("inj",), ("injy",)),
    "superficial": (("superf",), ("shallow",)),
    "puncture": (("punct",), ("pct",)),
    "wound": (("wnd",), ("wd",)),
    "foreign body": (("fb",), ("f.b.",)),
    "corrosion": (("corr",), ("crsn",)),
    "degree": (("deg",), ("dgr",)),
    "sprain": (("spr",), ("sprn",)),
    "traumatic": (("traum",), ("trmc",)),
    "amputation": (("amp",), ("amputn",)),
    "hemorrhage": (("hem",), ("bleed",)),
    "acute": (("ac",), ("acut",)),
    "chronic": (("chr",), ("chron",)),
    "malignant": (("malig",), ("mal.",)),
    "benign": (("ben",), ("bgn",)),
    "neoplasm": (("neo",), ("neopl",)),
    "infection": (("infxn",), ("infn",)),
    "disease": (("dis.",), ("dz",)),
    "disorder": (("d/o",), ("dsrd",)),
    "syndrome": (("synd",), ("sy.",)),
    "pregnancy": (("preg",), ("pgn",)),
    "trimester": (("trim",), ("tri",)),
    "diabetes mellitus": (("dm",), ("diab",)),
    "hypertension": (("htn",), ("high bp",)),
    "ulcer": (("ulc",), ("ul.",)),
    "necrosis": (("necr",), ("ncs",)),
    "osteomyelitis": (("osteo",), ("om",)),
    "arthritis": (("arth",), ("artr",)),
    "rheumatoid": (("rheum",), ("rh.",)),
    "joint": (("jt",), ("jnt",)),
    "muscle": (("musc",), ("msc",)),
    "tendon": (("tend",), ("tdn",)),
    "artery": (("art",), ("a.",)),
    "vein": (("vn",), ("v.",)),
    "nerve": (("nv",), ("nrv",)),
    "vertebra": (("vert",), ("vtb",)),
    "upper": (("upr",), ("up",)),
    "lower": (("lwr",), ("low",)),
    "anterior": (("ant",), ("antr",)),
    "posterior": (("post",), ("pstr",)),
    "extremity": (("extr",), ("ext",)),
    "finger": (("fgr",), ("digit",)),
    "shoulder": (("shldr",), ("shd",)),
    "abdominal": (("abd",), ("abdo",)),
    "thoracic": (("thor",), ("thx",)),
    "cervical": (("cerv",), ("cvx",)),
    "congenital": (("cong",), ("cgn",)),
    "secondary": (("sec",), ("2ry",)),
    "primary": (("prim",), ("1ry",)),
    "recurrent": (("recur",), ("rec",)),
    "specified": (("spec",), ("spcf",)),
    "unspecified": (("unsp",), ("nspc",)),
    "obstruction": (("obstr",), ("obs",)),
    "perforation": (("perf",), ("pfn",)),
    "gangrene": (("gang",), ("ggr",)),
    "third": (("3rd",), ("iii",)),
    "second": (("2nd",), ("ii",)),
    "first": (("1st",), ("i",)),
    "cerebral": (("cereb",), ("crbl",)),
    "infarction": (("infarct",), ("ifc",)),
    "poisoning": (("pois",), ("psn",)),
    "complication": (("compl",), ("cpl",)),
    "pulmonary": (("pulm",), ("pmy",)),
    "involvement": (("involv",), ("ivmt",)),
    "penetration": (("penetr",), ("pntn",)),
}

# What joins a title's parts. The word itself first: it may stand in any row.
PRESENT = ("with {}", ("w/ {}", "+ {}"), ("showing {}", "{} seen"))
ABSENT = ("without {}", ("w/o {}", "no {}"), ("free of {}", "sans {}"))
UNKNOWN = ("{} unspecified", ("{} not stated", "{} ?"), ("{} unknown", "unclear if {}"))
CAUSE = ("due to {}", ("d/t {}", "from {}"), ("2/2 {}", "caused by {}"))
NO_SIDE = ("unspecified side", ("side not given", "side ?"), ("side unknown", "no side noted"))
ENCOUNTERS = {
    "initial": ("initial encounter", ("first visit", "newly seen"), ("new patient", "1st presentation")),
    "subsequent": ("subsequent encounter", ("follow-up", "later visit"), ("f/u", "return visit")),
    "sequela": ("sequela", ("late effect", "old injury's result"), ("residual", "long-term remnant")),
    "delayed healing": ("delayed healing", ("healing late", "slow union"), ("heals slowly", "mending overdue")),
    "nonunion": ("nonunion", ("not united", "ununited"), ("failed to unite", "gap persists")),
    "malunion": ("malunion", ("badly united", "crooked union"), ("healed crooked", "set askew")),
}

_PATTERN = re.compile(r"(?<![\w/])(" + "|".join(sorted(map(re.escape, WORDS), key=len, reverse=True)) + r")(?![\w/])")


def frames():
    return [PRESENT, ABSENT, UNKNOWN, CAUSE, NO_SIDE, *ENCOUNTERS.values()]


def forms_of(entry, where):
    """The forms of an entry (training, test) that rows of a set may use."""
    training, test = entry
    return {"train": training, "dev": training, "test": test, "base": training + test}[where]


def frame(entry, where, draws):
    """One way of saying it: the plain words one time in three."""
    return entry[0] if draws.chance(1 / 3) else draws.choice(forms_of(entry[1:], where))


def abbreviate(text, where, draws, rate=0.5):
    """Replaces words that have forms, each with probability `rate`."""

    def replace(match):
        return draws.choice(forms_of(WORDS[match.group(1)], where)) if draws.chance(rate) else match.group(1)

    return _PATTERN.sub(replace, text)


def exclusive_forms(where):
    """The forms, as they stand in a row, that no row of the other side may hold."""
    forms = [form for entry in WORDS.values() for form in forms_of(entry, where)]
    forms += [form.replace("{}", "").strip() for entry in frames() for form in forms_of(entry[1:], where)]
    return sorted(set(forms))


def foreign_word_forms(where):
    """The forms of words that rows of the set may not hold: those of the other side."""
    other = 0 if where == "test" else 1
    return sorted({form for entry in WORDS.values() for form in entry[other]})


def contains_form(text, forms):
    """Whether a text holds one of the forms as a word of its own."""
    return any(re.search(r"(?<![\w/])" + re.escape(form) + r"(?![\w/])", text) for form in forms)
