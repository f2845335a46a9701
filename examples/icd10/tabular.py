"""The ICD-10-CM tabular list: codes, titles, notes, and the division of its categories into base, tuning and test sets."""

import hashlib
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "simple-icd-10-cm==1.5.0"
WHEEL = "simple_icd_10_cm-1.5.0-py3-none-any.whl"
WHEEL_SHA256 = "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42"
XML_MEMBER = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"

# The note elements used, with the kind they are of. `includes` notes say the same as inclusion terms, for a whole category.
NOTE_KINDS = {
    "inclusionTerm": "inclusion",
    "includes": "inclusion",
    "excludes1": "excludes1",
    "excludes2": "excludes2",
    "useAdditionalCode": "additional",
    "codeFirst": "first",
    "codeAlso": "also",
}
SETS = ("base", "train", "dev", "test")
# Shares of the categories; dev is the last fifth of the 25 % that fine-tuning has.
_SET_LIMITS = (("base", 0.60), ("train", 0.80), ("dev", 0.85), ("test", 1.0))

# What keeping a note is worth when categories are divided, by its kind and by where it stands.
_KIND_WORTH = {"inclusion": 1, "excludes1": 4, "excludes2": 6, "additional": 12, "also": 20, "first": 20}
_PART_WORTH = {"base": 1, "tuning": 6, "test": 9}

_CODE = re.compile(r"\b([A-Z]\d[0-9A-Z])(\.[0-9A-Z]{1,4})?(-)?")
_RANGE = re.compile(r"\b([A-Z]\d[0-9A-Z])(?:\.[0-9A-Z]{1,4})?-([A-Z]\d[0-9A-Z])")
_BRACKETED_CODES = re.compile(r"\s*[(\[][^()\[\]]*\b[A-Z]\d[0-9A-Z][^()\[\]]*[)\]]")


@dataclass
class Note:
    kind: str
    text: str  # lower case, codes stripped


@dataclass
class Code:
    name: str
    title: str  # lower case
    category: str
    chapter: int
    section: str  # the section's heading, lower case
    parent: "Code | None"
    encounters: list = field(default_factory=list)  # texts of the seventh characters that apply
    notes: list = field(default_factory=list)
    children: list = field(default_factory=list)


@dataclass
class TabularList:
    codes: list
    chapter_titles: dict  # number -> heading, lower case, without its code range
    set_of: dict  # category -> set
    titles_of: dict  # set -> titles that may be quoted there: those of no other set

    def of_set(self, name):
        return [code for code in self.codes if self.set_of[code.category] == name]


def clean(text):
    return " ".join(text.lower().split())


def read_xml(wheel):
    """The XML inside the package's wheel. Stops where the wheel isn't the pinned one."""
    data = Path(wheel).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"{wheel}: sha256 {digest}, expected {WHEEL_SHA256} ({PACKAGE})")
    with zipfile.ZipFile(wheel) as archive:
        return ElementTree.fromstring(archive.read(XML_MEMBER))


def divide(categories_by_chapter):
    """category -> set, each chapter divided in the same shares, in an order that depends on nothing but the category's name."""
    set_of = {}
    for chapter, names in sorted(categories_by_chapter.items()):
        order = sorted(names, key=lambda name: hashlib.sha256(f"moelora-icd10/third/{name}".encode()).hexdigest())
        for rank, name in enumerate(order):
            share = (rank + 0.5) / len(order)
            set_of[name] = next(label for label, limit in _SET_LIMITS if share < limit)
    return set_of


def keep_notes(set_of, categories_by_chapter, raw_notes):
    """Swaps categories of one chapter between sets as long as more notes can be kept where they are scarce.

    A note is lost where it cites another set; a random division loses five of six in the test set. The shares stay as they are.
    """
    known = set(set_of)
    part = {category: _part(name) for category, name in set_of.items()}
    touching = {}
    for code, kind, raw in raw_notes:
        cited = cited_categories(raw, known) - {code.category}
        if cited:
            note = (code.category, cited, _KIND_WORTH[kind])
            for category in (code.category, *cited):
                touching.setdefault(category, []).append(note)

    def worth(categories):
        notes = {id(note): note for category in categories for note in touching.get(category, ())}
        return sum(
            value * _PART_WORTH[part[own]]
            for own, cited, value in notes.values()
            if all(part[other] == part[own] for other in cited)
        )

    def swap(one, two):
        part[one], part[two] = part[two], part[one]

    for _ in range(3):
        for _, names in sorted(categories_by_chapter.items()):
            for one in names:
                best, best_gain = None, 1e-6
                for two in names:
                    if part[two] == part[one]:
                        continue
                    before = worth((one, two))
                    swap(one, two)
                    gain = worth((one, two)) - before
                    swap(one, two)
                    if gain > best_gain:
                        best, best_gain = two, gain
                if best:
                    swap(one, best)
                    set_of[one], set_of[best] = set_of[best], set_of[one]


def _part(name):
    return "tuning" if name in ("train", "dev") else name


def cited_categories(text, known):
    """Three-character categories of which a note's text names a code. A range from one category to another names a block
    of the list, no code of a set, and is passed over (a range within a category is not)."""
    text = _RANGE.sub(lambda match: match.group(1) if match.group(1) == match.group(2) else " ", text)
    return {match.group(1) for match in _CODE.finditer(text)} & known


def strip_codes(text):
    text = _BRACKETED_CODES.sub("", text)
    return clean(_CODE.sub("", text)).strip(" ,;:-")


def read(wheel):
    root = read_xml(wheel)
    codes, raw_notes, by_chapter, headings = [], [], {}, {}

    def walk(element, chapter, section, category, parent, encounters):
        name = element.findtext("name")
        own = element.find("sevenChrDef")
        if own is not None:
            encounters = [clean(extension.text) for extension in own.findall("extension")]
        code = Code(name, clean(element.findtext("desc")), category or name, chapter, section, parent, encounters)
        codes.append(code)
        for tag, kind in NOTE_KINDS.items():
            for group in element.findall(tag):
                raw_notes.extend((code, kind, note.text or "") for note in group.findall("note"))
        for child in element.findall("diag"):
            code.children.append(walk(child, chapter, section, code.category, code, encounters))
        return code

    for element in root.findall("chapter"):
        chapter = int(element.findtext("name"))
        headings[chapter] = clean(re.sub(r"\([^)]*\)$", "", element.findtext("desc")))
        for section in element.findall("section"):
            heading = clean(re.sub(r"\([^)]*\)$", "", section.findtext("desc")))
            for diag in section.findall("diag"):
                by_chapter.setdefault(chapter, []).append(diag.findtext("name"))
                walk(diag, chapter, heading, None, None, [])

    set_of = divide(by_chapter)
    keep_notes(set_of, by_chapter, raw_notes)
    return _without_crossings(codes, raw_notes, headings, set_of)


def _without_crossings(codes, raw_notes, headings, set_of):
    """Drops titles that stand in two sets, and notes that cite or quote a code or title of another set."""
    part_of = {category: _part(name) for category, name in set_of.items()}
    sets_of_title = {}
    for code in codes:
        sets_of_title.setdefault(code.title, set()).add(set_of[code.category])
    known = set(set_of)
    seen = {}
    kept = []
    for code, kind, raw in raw_notes:
        part = part_of[code.category]
        if any(part_of[category] != part for category in cited_categories(raw, known)):
            continue
        text = strip_codes(raw)
        own = {set_of[code.category]}
        if text and sets_of_title.get(text, own) == own:
            kept.append((code, Note(kind, text)))
            seen.setdefault(text, set()).add(set_of[code.category])
    for code, note in kept:
        if len(seen[note.text]) == 1:
            code.notes.append(note)
    titles_of = {name: set() for name in SETS}
    for title, names in sets_of_title.items():
        if len(names) == 1:
            titles_of[next(iter(names))].add(title)
    return TabularList(codes, headings, set_of, titles_of)
