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


def answers(step, prompts, stop, most):
    """For each prompt (token ids) at most `most` tokens of its answer, up to `stop`."""
    given = [[] for _ in prompts]
    unfinished = list(range(len(prompts)))
    for _ in range(most):
        if not unfinished:
            break
        best = step([prompts[i] + given[i] for i in unfinished]).argmax(dim=-1).tolist()
        for i, token in zip(list(unfinished), best):
            given[i].append(token)
            if token == stop:
                unfinished.remove(i)
    return given
