"""Recomputes metrics and baselines with scikit-learn, rouge-score and rouge-chinese and compares them with ours.

usage: oracle.py CASES.json    (written by oracle_test.cpp; one object a case: {"check": ..., inputs, "ours": ...})
Exits 1 after printing every disagreement.
"""

import json
import re
import sys


def near(ours, other, what, tolerance=1e-12):
    if abs(ours - other) > tolerance:
        problems.append(f"{what}: ours {ours!r}, independent {other!r}")


def check_items(case):
    """Micro F1: rows of gold and answered items as indicator matrices."""
    from sklearn.metrics import precision_recall_fscore_support
    from sklearn.preprocessing import MultiLabelBinarizer

    binarizer = MultiLabelBinarizer().fit(case["gold"] + case["answers"])
    gold = binarizer.transform(case["gold"])
    answers = binarizer.transform(case["answers"])
    precision, recall, f1, _ = precision_recall_fscore_support(gold, answers, average="micro", zero_division=0)
    near(case["ours"]["precision"], precision, case["name"] + " precision")
    near(case["ours"]["recall"], recall, case["name"] + " recall")
    near(case["ours"]["score"], f1, case["name"] + " f1")


def check_labels(case):
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    gold, answers, ours = case["gold"], case["answers"], case["ours"]
    listed = set(case["labels"])
    classes = sorted(set(gold) | {answer for answer in answers if answer in listed})
    extra = ["(off list)", "(malformed)"]
    named = [a if a in listed else extra[1] if a == "" else extra[0] for a in answers]
    if case["metric"] == "macro_f1":
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, named, labels=classes, average="macro", zero_division=0
        )
        near(ours["precision"], precision, "macro precision")
        near(ours["recall"], recall, "macro recall")
        near(ours["score"], f1, "macro f1")
    else:
        near(ours["score"], accuracy_score(gold, named), "accuracy")
    columns = ours["columns"]
    if sorted(columns) != sorted(classes + extra):
        problems.append(f"columns: ours {columns}, independent {classes + extra}")
        return
    matrix = confusion_matrix(gold, named, labels=columns)[: len(classes)]
    if matrix.tolist() != ours["confusion"]:
        problems.append("the confusion matrices differ")
    per_class = precision_recall_fscore_support(gold, named, labels=columns[: len(classes)], zero_division=0)
    for i, label in enumerate(columns[: len(classes)]):
        for j, key in enumerate(["precision", "recall", "f1", "support"]):
            near(ours["classes"][i][key], per_class[j][i], f"{label} {key}")


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def check_rouge(case):
    from rouge_score import rouge_scorer

    if case["unit"] == "character":
        from tokenizers import normalizers, pre_tokenizers

        normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()

        class Tokenizer:
            def tokenize(self, text):
                return [token for token, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]

        scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=Tokenizer())
    else:
        scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    for i, (gold, answer) in enumerate(zip(case["gold"], case["answers"])):
        score = scorer.score(gold, answer)["rougeL"]
        near(case["ours"]["rows"][i], score.fmeasure, f"{case['unit']} row {i}")
        if case["unit"] == "character":
            from rouge_chinese import Rouge

            spaced = [" ".join(Tokenizer().tokenize(text)) for text in (answer, gold)]
            other = Rouge(metrics=["rouge-l"]).get_scores(*spaced)[0]["rouge-l"]["f"]
            near(case["ours"]["rows"][i], other, f"rouge-chinese row {i}", 1e-7)  # it adds 1e-8 to a denominator
    near(case["ours"]["score"], sum(case["ours"]["rows"]) / len(case["gold"]), "mean")


def check_bayes(case):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    vectorizer = CountVectorizer(analyzer=words)
    model = MultinomialNB(alpha=1.0).fit(vectorizer.fit_transform(case["train_prompts"]), case["train_gold"])
    log_odds = model.predict_joint_log_proba(vectorizer.transform(case["test_prompts"]))
    classes = list(model.classes_)
    for i, (row, choices) in enumerate(zip(log_odds, case["choices"])):
        allowed = [j for j, label in enumerate(classes) if label in choices] or range(len(classes))
        best = max(row[j] for j in allowed)
        if best - row[classes.index(case["ours"][i])] > 1e-9 or classes.index(case["ours"][i]) not in allowed:
            problems.append(f"bayes row {i}: ours {case['ours'][i]}, not the most probable class")


problems = []
cases = json.load(open(sys.argv[1], encoding="utf-8"))
for case in cases:
    {"items": check_items, "labels": check_labels, "rouge": check_rouge, "bayes": check_bayes}[case["check"]](case)
print("\n".join(problems[:40]) or f"{len(cases)} cases agree")
sys.exit(1 if problems or not cases else 0)
