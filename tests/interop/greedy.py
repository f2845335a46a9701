"""Greedy answers of a model that gives last logits, all prompts of a step together."""
import torch


def last_logits(model):
    """Of a transformers model: from sequences of ids to [sequences, V]. What stands behind a sequence can't reach it."""
    def step(sequences):
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.zeros(len(sequences), max(lengths), dtype=torch.long)
        for row, sequence in zip(ids, sequences):
            row[:len(sequence)] = torch.tensor(sequence)
        with torch.no_grad():
            logits = model(ids).logits
        return logits[range(len(sequences)), [length - 1 for length in lengths]]
    return step


def answers(step, prompts, stop, most, tie=0.0):
    """For each prompt (token ids) at most `most` tokens of its answer, up to `stop`; None where the two best logits ever lie within
    `tie`: rounding may choose either."""
    given = [[] for _ in prompts]
    unfinished = list(range(len(prompts)))
    for _ in range(most):
        if not unfinished:
            break
        best = step([prompts[i] + given[i] for i in unfinished]).topk(2)
        for i, values, tokens in zip(list(unfinished), best.values.tolist(), best.indices.tolist()):
            if tie and values[0] - values[1] <= tie:
                given[i] = None
                unfinished.remove(i)
                continue
            given[i].append(tokens[0])
            if tokens[0] == stop:
                unfinished.remove(i)
    return given
