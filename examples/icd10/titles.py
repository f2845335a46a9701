"""Reads a title's parts: what, where, which side, with and without what, due to what.

Only titles whose every part is understood are used (`read` gives None for the others), so that the answers built from them are right.
"""

import re
from dataclasses import dataclass, field

SIDES = ("left", "right", "bilateral", "unspecified")
COURSES = ("acute", "chronic", "subacute", "recurrent", "congenital", "acquired", "primary", "secondary")
_UNREADABLE = re.compile(
    r"[(\[\]/:;]| (?:in|by|from|at|to|for|following|during|as|on|or|that|involving|affecting|complicating|except|other than)(?: |$)"
    r"|with or without|elsewhere|whether|history|encounter|status|not |none|any |contact|supervision"
)
_MODIFIERS = (
    (re.compile(r"(first|second|third) trimester"), "trimester"),
    (re.compile(r"stage (\d\w?)"), "stage"),
    (re.compile(r"(mild|moderate|severe)"), "severity"),
    (re.compile(r"(multiple sites)"), "site"),
    (re.compile(r"(recurrent)"), "course"),
)
_DROPPED = ("unspecified", "unspecified trimester", "unspecified site", "site unspecified", "unspecified severity")


@dataclass
class Parts:
    what: str
    site: str = ""
    side: str = ""  # one of SIDES, or "" where the title has no side
    cause: str = ""
    course: str = ""
    extras: list = field(default_factory=list)  # (attribute, value)
    findings: list = field(default_factory=list)  # (finding, "present" | "absent" | "unspecified")
    whole: bool = True  # False: only the findings are read, `what` is the rest as it stands


class TitleReader:
    """Knows all titles: `unspecified` is a side only where the same title exists with `left`."""

    def __init__(self, titles):
        self._titles = frozenset(titles)

    def _side(self, title):
        """(side, title without it), or ("", title)."""
        for side, other in (("left", "right"), ("right", "left"), ("unspecified", "left")):
            pattern = rf"\b{side}\b"
            for match in re.finditer(pattern, title):
                swapped = title[: match.start()] + other + title[match.end() :]
                if swapped in self._titles:
                    rest = title[: match.start()] + title[match.end() :]
                    return side, rest
        if title.endswith(", bilateral"):
            return "bilateral", title.removesuffix(", bilateral")
        return "", title

    def read(self, title):
        side, rest = self._side(title)
        rest = re.sub(r"\s+", " ", rest).replace(" ,", ",").strip(" ,")
        rest = re.sub(r", side$", "", rest)
        main, *modifiers = rest.split(", ")
        if modifiers and modifiers[-1].startswith("not intractable"):
            modifiers[-1] = "without intractability"
        if _UNREADABLE.search(", ".join([main, *modifiers])):
            return None
        parts = Parts("", side=side)
        if not self._read_main(main, parts) or not all(self._read_modifier(modifier, parts) for modifier in modifiers):
            return None
        if any(not 0 < len(words.split()) <= 6 for words in self._values(parts)):
            return None
        return parts

    @staticmethod
    def _values(parts):
        optional = [value for value in (parts.site, parts.cause) if value]
        return [parts.what, *optional, *(finding for finding, _ in parts.findings)]

    def read_findings(self, title):
        """As `read`; where that fails, only the findings behind the title's last part, or None where there are none."""
        parts = self.read(title)
        if parts is not None:
            return parts if parts.findings else None
        if re.search(r"[(\[\]/:;]|with or without|elsewhere|whether|, (?:with|not )|contact|collision|supervision|patient", title):
            return None
        what, *pieces = re.split(r" (with|without) ", title)
        parts = Parts(what, whole=False)
        for cue, clause in zip(pieces[::2], pieces[1::2]):
            if "," in clause or len(clause.split()) > 5 or re.search(r" (of|due|in|by) ", clause):
                return None
            self._add_finding(cue, clause, parts)
        return parts if parts.findings and len(what.split()) <= 10 else None

    def _read_main(self, main, parts):
        pieces = re.split(r" (with|without) ", main)
        head = pieces[0]
        for cue, clause in zip(pieces[1::2], pieces[2::2]):
            # "laceration without foreign body of finger": the site stands behind the clause where the head has none.
            if " of " in clause and " of " not in head and clause.split(" of ")[0] in ("foreign body",):
                clause, _, parts.site = clause.partition(" of ")
            if " due " in clause:
                return False
            self._add_finding(cue, clause, parts)
        head, _, parts.cause = head.partition(" due to ")
        what, _, site = head.partition(" of ")
        if site and parts.site:
            return False
        parts.site = parts.site or site
        what = re.sub(r"^unspecified ", "", what)
        for course in COURSES:
            found = re.match(rf"(other )?{course} (.+)", what)
            if found:
                parts.course, what = course, (found.group(1) or "") + found.group(2)
                break
        parts.what = what
        return bool(what) and what not in ("other", "unspecified")

    @staticmethod
    def _add_finding(cue, clause, parts):
        status = "present" if cue == "with" else "absent"
        if clause.startswith("unspecified "):
            clause, status = clause.removeprefix("unspecified "), "unspecified"
        parts.findings.append((clause, status))

    def _read_modifier(self, modifier, parts):
        if modifier in _DROPPED:
            return True
        cue, _, clause = modifier.partition(" ")
        if cue in ("with", "without"):
            if " with" in clause:
                return False
            self._add_finding(cue, clause, parts)
            return True
        if modifier == "intractable":
            parts.findings.append(("intractability", "present"))
            return True
        for pattern, attribute in _MODIFIERS:
            found = pattern.fullmatch(modifier)
            if found:
                if attribute == "course":
                    parts.course = parts.course or found.group(1)
                elif attribute == "site":
                    if parts.site:
                        return False
                    parts.site = found.group(1)
                else:
                    parts.extras.append((attribute, found.group(1)))
                return True
        if not parts.site and parts.side and len(modifier.split()) <= 4:
            parts.site = modifier  # ", left ear" whose side was taken out
            return True
        return False
