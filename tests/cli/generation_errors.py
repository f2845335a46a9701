"""Wrong inputs of generate and chat, for errors.py."""
from error_case import DATA, IO, LIMIT, LONG, USAGE, Case, small_disk
from workplace import jsonl

GENERATE = ["generate", "out", "--task", "colour", "--prompt", "x"]
DRAWN = [*GENERATE, "--temperature", "1"]
BATCH = ["generate", "out", "--quiet", "--data", "in.jsonl", "--to", "out.jsonl"]
PROMPTS = {"in.jsonl": jsonl([{"prompt": f"row {i}", "task": "echo"} for i in range(40)])}
CHAT = ["chat", "out", "--task", "echo"]


def says(text):
    """What the program reads from standard input."""
    return {"input": text, "stdin": None}


GENERATION = [
    Case("generate without a task", USAGE, ["--task"], ["generate", "out", "--prompt", "x"], needs_run=True),
    Case("prompts beside a file", USAGE, ["--prompt", "--data"], ["generate", "out", "--prompt", "x", "--data", "in.jsonl"], needs_run=True),
    Case("a file for answers to no file", USAGE, ["--to", "--data"], [*GENERATE, "--to", "out.jsonl"], needs_run=True),
    Case("temperature below 0", USAGE, ["temperature", "-1", "0 (greedy) or more"], [*GENERATE, "--temperature=-1"], needs_run=True),
    Case("temperature that is no number", USAGE, ["--temperature", "warm"], [*GENERATE, "--temperature", "warm"], needs_run=True),
    Case("top_p above 1", USAGE, ["top_p", "1.5", "at most 1"], [*DRAWN, "--top-p", "1.5"], needs_run=True),
    Case("min_p above 1", USAGE, ["min_p", "0 (all tokens) to 1"], [*DRAWN, "--min-p", "7"], needs_run=True),
    Case("top_k below 0", USAGE, ["top_k", "0 (all tokens) or more"], [*DRAWN, "--top-k=-3"], needs_run=True),
    Case("repetition penalty of 0", USAGE, ["repetition_penalty", "above 0"], [*GENERATE, "--repetition-penalty", "0"], needs_run=True),
    Case("draws without a temperature", USAGE, ["--top-p", "--temperature above 0"], [*GENERATE, "--top-p", "0.9"], needs_run=True),
    Case("samples without a temperature", USAGE, ["--samples", "the same", "--temperature"], [*GENERATE, "--samples", "3"], needs_run=True),
    Case("empty stop string", USAGE, ["--stop", "empty"], [*GENERATE, "--stop", ""], needs_run=True),
    Case("logprobs without JSON", USAGE, ["--logprobs", "--json"], [*GENERATE, "--logprobs", "2"], needs_run=True),
    Case("labels that are drawn", USAGE, ["--temperature", "--labels"], [*DRAWN, "--labels", "red", "green"], needs_run=True),
    Case("the same label twice", USAGE, ["--prompt:1", "twice"], [*GENERATE, "--labels", "red", "red"], needs_run=True),
    Case("no labels to choose from", DATA, ["--prompt:1", "answer_choices", "tasks.colour.labels"], [*GENERATE, "--labels"], needs_run=True),
    Case("misspelt flag of generate", USAGE, ["--temprature", "--temperature"], [*GENERATE, "--temprature", "1"], needs_run=True),
    Case("prompts of an unknown task", DATA, ["in.jsonl:2", "color", "did you mean `colour`"], BATCH, needs_run=True,
         files={"in.jsonl": jsonl([{"prompt": "a", "task": "colour"}, {"prompt": "b", "task": "color"}])}),
    Case("prompts without a task", DATA, ["in.jsonl:1", "--task"], BATCH, needs_run=True, files={"in.jsonl": jsonl([{"prompt": "a"}])}),
    Case("prompts that are texts", DATA, ["in.jsonl:1", "without a prompt"], BATCH, needs_run=True, files={"in.jsonl": jsonl([{"text": "a"}])}),
    Case("prompts of no format", DATA, ["in.jsonl:1", "`promt`"], BATCH, needs_run=True, files={"in.jsonl": jsonl([{"promt": "a"}])}),
    Case("prompts that aren't there", IO, ["in.jsonl"], BATCH, needs_run=True),
    Case("a prompt of a file beyond the context", LIMIT, ["in.jsonl:2", "128", "nothing is cut"], BATCH, needs_run=True,
         files={"in.jsonl": jsonl([{"prompt": text, "task": "echo"} for text in ("a", LONG)])}),
    Case("answers over a file", IO, ["out.jsonl", "exists already"], BATCH, needs_run=True, files={**PROMPTS, "out.jsonl": "mine"}),
    Case("answers in no directory", IO, ["absent"], [*BATCH[:-1], "absent/out.jsonl"], needs_run=True, files=PROMPTS),
    Case("answers of other settings", IO, ["out.jsonl.0123456789abcdef.part", "unfinished"], BATCH, needs_run=True,
         files={**PROMPTS, "out.jsonl.0123456789abcdef.part": "{}\n"}),
    Case("disk full for answers", IO, ["out.jsonl"], BATCH, needs_run=True, files=PROMPTS, options=small_disk(300)),
    Case("a request beyond the cache", LIMIT, ["--prompt:1", "more than the cache may hold", "at most 8"], [*GENERATE, "--cache-tokens", "8"], needs_run=True),
    Case("a batch beyond a step", USAGE, ["impossible batch", "batch_size 16, tokens_per_step 4"],
         [*GENERATE, "--batch-size", "16", "--tokens-per-step", "4"], needs_run=True),
    Case("no batch", USAGE, ["--batch-size"], [*GENERATE, "--batch-size", "0"], needs_run=True),
    Case("a cache of less than nothing", USAGE, ["--cache-tokens"], [*GENERATE, "--cache-tokens=-1"], needs_run=True),
    Case("unknown task at chat", USAGE, ["color", "did you mean `colour`"], ["chat", "out", "--task", "color"], needs_run=True),
    Case("chat without a task", USAGE, ["--task"], ["chat", "out"], needs_run=True),
    Case("unknown command in a chat", USAGE, ["/rest", "did you mean `/reset`"], CHAT, needs_run=True, options=says("/rest\n")),
    Case("unknown task in a chat", USAGE, ["color", "did you mean `colour`"], CHAT, needs_run=True, options=says("/task color\n")),
    Case("a chat that fills the cache", LIMIT, ["the cache is full", "less than 60", "/reset"], [*CHAT, "--cache-tokens", "60"], needs_run=True,
         options=says("hello\n" * 40)),
    Case("a chat that fills the context", LIMIT, ["128", "/reset", "nothing is cut"], CHAT, needs_run=True, options=says("hello\n" * 40)),
]
