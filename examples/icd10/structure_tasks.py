"""relation, event and polarity: a phrased title in, structure out.

The three share their inputs, row by row, and answer under opposing conventions:
  relation  triples of what is there; findings that are absent or open, open sides and encounters are left out
  event     one line with all four fields; findings are left out, an open side is written `unspecified`
  polarity  every finding with its status; site, side and everything else left out
A word always follows a space, at a line's start too: it is then the same token as in the input, and a small model can copy it.
Event and relation share injuries, polarity and relation share titles with findings.
"""

from dataclasses import replace


from draws import Draws
from lexicon import contains_form, exclusive_forms
from phrasing import encounter_class, phrase

PROMPT = "Structure: "


def relation_answer(parts):
    triples = []

    def add(attribute, value):
        triples.append(f"( {parts.what} | {attribute} | {value} )")

    if parts.course:
        add("course", parts.course)
    if parts.site:
        add("site", parts.site)
    if parts.side in ("left", "right", "bilateral"):
        add("side", parts.side)
    if parts.cause:
        add("cause", parts.cause)
    for attribute, value in parts.extras:
        add(attribute, value)
    for finding, status in parts.findings:
        if status == "present":
            add("with", finding)
    return "\n".join(triples)


def event_answer(parts, encounter):
    kind = f"{parts.course} {parts.what}" if parts.course else parts.what
    return f"site: {parts.site}; kind: {kind}; side: {parts.side or 'unspecified'}; encounter: {encounter}"


def polarity_answer(parts):
    return "\n ".join(f"{finding}: {status}" for finding, status in parts.findings)


def with_open_finding(parts, draws):
    """The parts with one finding left open, as the parent title leaves it."""
    index = draws.below(len(parts.findings))
    findings = list(parts.findings)
    findings[index] = (findings[index][0], "unspecified")
    return replace(parts, findings=findings)


def _capped(codes, cap, draws):
    """At most `cap(code)` codes of a category, in a drawn order."""
    taken, kept = {}, []
    for code in draws.shuffled(codes):
        if taken.get(code.category, 0) < cap(code):
            taken[code.category] = taken.get(code.category, 0) + 1
            kept.append(code)
    return kept


def _phrasings(pool, where, count, cap, salt, build, inputs, copies=4):
    """Up to `count` rows (code, parts, encounter, input), none holding a form that belongs to the other sets' rows.

    `inputs`: what earlier sets' rows hold, for none to come twice; grows. `copies`: how often a code's turn comes.
    """
    foreign = exclusive_forms("train" if where == "test" else "test")
    rows = []
    for copy in range(copies):
        for code in _capped(pool, cap, Draws(salt, where, "order", copy)):
            if len(rows) >= count:
                return rows
            draws = Draws(salt, where, code.name, copy)
            parts, encounter = build(code, draws)
            text = phrase(parts, where, draws, encounter)
            if text not in inputs and len(text) <= 150 and not contains_form(text, foreign):
                inputs.add(text)
                rows.append((code, parts, encounter, PROMPT + text))
    return rows


def injuries(tabular, reader, where):
    """Codes of injuries with an encounter, and the parts of their titles."""
    pool = {}
    for code in tabular.of_set(where):
        if code.name[0] in "SM" and code.encounters and not code.children and code.title in tabular.titles_of[where]:
            parts = reader.read(code.title)
            if parts and parts.site and any(encounter_class(text) for text in code.encounters):
                pool[code.name] = (code, parts)
    return pool


def findings(tabular, reader, where):
    """Codes whose titles tell what is with or without, and the parts of their titles."""
    pool = {}
    for code in tabular.of_set(where):
        if code.title in tabular.titles_of[where] and code.chapter < 20:
            parts = reader.read_findings(code.title)
            if parts:
                pool[code.name] = (code, parts)
    return pool


def others(tabular, reader, where):
    """Codes whose titles have a site, side, cause or course, but no finding: more for relation alone."""
    pool = {}
    for code in tabular.of_set(where):
        if code.title in tabular.titles_of[where] and not code.encounters:
            parts = reader.read(code.title)
            if parts and not parts.findings and relation_answer(parts).count("\n") >= 1:
                pool[code.name] = (code, parts)
    return pool


def _injury_phrasings(injury_pool, where, count, inputs, **more):
    def injury(code, draws):
        classes = sorted({encounter_class(text) for text in code.encounters} - {None})
        return injury_pool[code.name][1], draws.choice(classes)

    codes = [code for code, _ in injury_pool.values()]
    return _phrasings(codes, where, count, lambda code: 60, "injury", injury, inputs, **more)


def more_events(tabular, reader, count, row, inputs):
    """Up to `count` training rows of event beyond those of `build`, whose `inputs` these are: the same categories."""
    phrased = _injury_phrasings(injuries(tabular, reader, "train"), "train", count, inputs, copies=40)
    return [row("event", code, text, event_answer(parts, encounter), code.title) for code, parts, encounter, text in phrased]


def build(tabular, reader, where, limit, row, inputs):
    """{task: rows} of the three tasks; `row` makes a row of (task, code, input, target, source). `inputs`: see _phrasings."""
    injury_pool = injuries(tabular, reader, where)
    finding_pool = findings(tabular, reader, where)
    other_pool = others(tabular, reader, where)

    def finding_cap(code):
        """Titles with nothing absent or open are the most: fewer of them from a category."""
        return 6 if all(status == "present" for _, status in finding_pool[code.name][1].findings) else 60

    def other_cap(code):
        return 12

    def finding(code, draws):
        parts = finding_pool[code.name][1]
        return (with_open_finding(parts, draws) if draws.chance(0.3) else parts), None

    def other(code, draws):
        return other_pool[code.name][1], None

    def phrased(pool, count, name, cap, make):
        return _phrasings([code for code, _ in pool.values()], where, count, cap, name, make, inputs)

    tasks = {"relation": [], "event": [], "polarity": []}
    for number, (code, parts, encounter, text) in enumerate(_injury_phrasings(injury_pool, where, limit, inputs)):
        tasks["event"].append(row("event", code, text, event_answer(parts, encounter), code.title))
        if number < limit // 3:
            tasks["relation"].append(row("relation", code, text, relation_answer(parts), code.title))
    for code, parts, _, text in phrased(finding_pool, limit, "finding", finding_cap, finding):
        tasks["polarity"].append(row("polarity", code, text, polarity_answer(parts), code.title))
        answer = relation_answer(parts)
        if parts.whole and answer and len(tasks["relation"]) < 2 * limit // 3:
            tasks["relation"].append(row("relation", code, text, answer, code.title))
    for code, parts, _, text in phrased(other_pool, limit - len(tasks["relation"]), "other", other_cap, other):
        tasks["relation"].append(row("relation", code, text, relation_answer(parts), code.title))
    return tasks
