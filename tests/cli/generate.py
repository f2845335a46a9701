"""generate and chat from outside: files of mixed tasks, resumed byte for byte; draws, stop strings, labels, log-probabilities;
conversations through a pipe.

  python tests/cli/generate.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import json
import math
import os
import signal
import subprocess
import time

from checks import require, run_checks
from small_runs import INTERRUPTED
from workplace import COLOURS, jsonl


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def messages(*contents):
    """Turns of user and assistant."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def prompts(count):
    """Rows of both tasks in turn, some with earlier turns, one id in three."""
    rows = []
    for i in range(count):
        history = ("hello", "yes?") if i % 5 == 0 else ()
        rows.append({"messages": messages(*history, f"item {i}: write"), "task": ("colour", "echo")[i % 2],
                     **({"id": f"id-{i}"} if i % 3 == 0 else {})})
    return rows


def generate(place, *arguments, **options):
    return place.run_well("generate", "out", *arguments, **options)


def check_file(place):
    """A file's answers are those of each row alone, in the rows' order, for the owner's eyes."""
    place.write("in.jsonl", jsonl(prompts(30)))
    out = generate(place, "--data", "in.jsonl", "--to", "out.jsonl", "--max-new-tokens", 7)
    require("30 answers: out.jsonl" in out, out)
    path = place.path / "out.jsonl"
    require(path.stat().st_mode & 0o777 == 0o600, "answers are readable by their owner only")
    answers = lines_of(path.read_text())
    require([a["line"] for a in answers] == list(range(1, 31)), "an answer for each row, in order")
    require([a["task"] for a in answers] == ["colour", "echo"] * 15, "each row as its own task")
    require(answers[3]["id"] == "id-3" and "id" not in answers[1], "rows keep their ids")
    require(not list(place.path.glob("*.part")), "nothing else is left")
    require(generate(place, "--data", "in.jsonl", "--json", "--max-new-tokens", 7) == path.read_text(), "--json prints the same lines")
    for i in (1, 2, 12, 29):
        task = ("colour", "echo")[i % 2]
        alone = lines_of(generate(place, "--task", task, "--prompt", f"item {i}: write", "--json", "--max-new-tokens", 7))
        require(alone[0]["answer"] == answers[i]["answer"], f"row {i} alone: {alone}, in the file: {answers[i]}")
    as_echo = lines_of(generate(place, "--data", "in.jsonl", "--task", "echo", "--json", "--max-new-tokens", 7))
    require({a["task"] for a in as_echo} == {"echo"}, "--task is of all rows")
    require([a["answer"] for a in as_echo] != [a["answer"] for a in answers], "and changes what the other task's rows get")


def start(place, *arguments):
    return subprocess.Popen(place.command("generate", "out", *arguments), cwd=place.path, env=place.environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_part(place, count):
    """The unfinished file, once it has so many lines."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for part in place.path.glob("out.jsonl.*.part"):
            if part.read_bytes().count(b"\n") >= count:
                return part
        time.sleep(0.002)
    raise AssertionError("no unfinished file appeared")


def check_resume(place):
    """Killed and stopped in the middle, the same command goes on; nothing is repeated and the end is the same."""
    place.write("in.jsonl", jsonl(prompts(400)))
    flags = ["--data", "in.jsonl", "--max-new-tokens", 20, "--temperature", 0.8, "--samples", 2, "--quiet"]
    generate(place, *flags, "--to", "whole.jsonl")
    whole = (place.path / "whole.jsonl").read_text()
    flags += ["--to", "out.jsonl"]
    for stop in (signal.SIGKILL, signal.SIGTERM):
        process = start(place, *flags)
        part = wait_for_part(place, 40)
        process.send_signal(stop)
        _, message = process.communicate(timeout=60)
        require(process.returncode == (INTERRUPTED if stop == signal.SIGTERM else -signal.SIGKILL), f"{stop}: {process.returncode} {message}")
        require(not (place.path / "out.jsonl").exists(), "what isn't finished has another name")
        require(part.stat().st_mode & 0o777 == 0o600, "and is readable by its owner only")
        done = part.read_text()
        done = done[:done.rfind("\n") + 1]
        require(whole.startswith(done) and 40 <= done.count("\n") < 800, "what is done is right")
        # A mark in what is done stays where nothing is repeated; half a line does not.
        part.write_text(done.replace('"line":1,', '"line":1,"mark":1,', 1) + '{"line":')
        generate(place, *flags)
        result = (place.path / "out.jsonl").read_text()
        require('"mark":1,' in result, "what is done is kept, not repeated")
        require(result.replace('"mark":1,', "") == whole, "resumed, the file is that of a run that wasn't interrupted")
        (place.path / "out.jsonl").unlink()
    process = start(place, *flags)
    wait_for_part(place, 1)
    process.kill()
    process.communicate()
    other = place.run("generate", "out", *flags, "--seed", 5)
    require(other.returncode == 7 and "unfinished" in other.stderr, f"other settings don't go on with it: {other.stderr}")
    (place.path / "out.jsonl").unlink(missing_ok=True)
    for path in place.path.glob("out.jsonl.*"):
        path.unlink()
    # The same adapter, whose run says otherwise how long answers may be.
    place.run_well("train", "run.yaml", "--quiet", "--output=short", "--train.max_steps=6", "--train.learning_rate=0.01", "--eval.max_new_tokens=5")
    flags = ["--data", "in.jsonl", "--quiet", "--to", "out.jsonl"]
    process = start(place, *flags)
    wait_for_part(place, 1)
    process.kill()
    process.communicate()
    (place.path / "out").rename(place.path / "long")
    (place.path / "short").rename(place.path / "out")
    other = place.run("generate", "out", *flags)
    require(other.returncode == 7 and "unfinished" in other.stderr, f"what the run says of answers is a setting too: {other.stderr}")


def check_draws(place):
    """Seeds repeat, samples differ, --samples of a row don't depend on the other rows."""
    flags = ["--task", "echo", "--prompt", "write something", "--temperature", 1, "--json", "--max-new-tokens", 10]
    first, again = generate(place, *flags, "--samples", 4), generate(place, *flags, "--samples", 4)
    require(first == again, "a seed repeats")
    answers = [a["answer"] for a in lines_of(first)]
    require(len(answers) == 4 and len(set(answers)) > 1, f"samples differ: {answers}")
    require([a["sample"] for a in lines_of(first)] == [0, 1, 2, 3], "samples are numbered")
    require(generate(place, *flags, "--samples", 4, "--seed", 7) != first, "another seed gives other answers")
    require(lines_of(generate(place, *flags))[0]["answer"] == answers[0], "the first sample is the one without --samples")
    greedy = generate(place, "--task", "echo", "--prompt", "write something", "--max-new-tokens", 10)
    require(greedy == generate(place, "--task", "echo", "--prompt", "write something", "--max-new-tokens", 10, "--temperature", 1, "--top-k", 1),
            "of the best token alone there is one answer")
    penalised = generate(place, "--task", "echo", "--prompt", "write something", "--max-new-tokens", 10, "--repetition-penalty", 5)
    require(penalised != greedy, "a repetition penalty changes the greedy answer too")


def check_stop(place):
    flags = ["--task", "echo", "--prompt", "write something", "--max-new-tokens", 20]
    whole = generate(place, *flags)[:-1]
    require(len(whole) > 8, f"an answer to be stopped: {whole!r}")
    for begin in range(0, len(whole) - 3, 3):
        stop = whole[begin:begin + 3]
        if "\0" in stop or "\ufffd" in stop:
            continue
        shown = generate(place, *flags, "--stop", stop)
        require(shown == whole[:whole.find(stop)] + "\n", f"stopped at {stop!r}: {shown!r} of {whole!r}")
        break
    stopped = lines_of(generate(place, *flags, "--stop", stop, "--json"))[0]
    require(stopped["finish_reason"] == "stop" and stopped["answer"] == whole[:whole.find(stop)], f"{stopped}")


def check_labels(place):
    """Only labels come out, with probabilities that sum to 1; the row's own where none are given."""
    flags = ["--task", "colour", "--prompt", "test item 3: colour?", "--labels", *COLOURS]
    answer = lines_of(generate(place, *flags, "--json"))[0]
    require(list(answer["labels"]) == COLOURS and math.isclose(sum(answer["labels"].values()), 1, abs_tol=1e-9), f"{answer}")
    require(answer["answer"] == max(answer["labels"], key=answer["labels"].get), f"the most probable is the answer: {answer}")
    require(generate(place, *flags).startswith(answer["answer"] + "\t"), "as text too")
    place.write("in.jsonl", jsonl({"input": f"test item {i}: colour?", "answer_choices": COLOURS[:2 + i % 2], "task": "colour"} for i in range(6)))
    rows = lines_of(generate(place, "--data", "in.jsonl", "--labels", "--json"))
    require([list(row["labels"]) for row in rows] == [COLOURS[:2 + i % 2] for i in range(6)], f"each row's own labels: {rows}")
    two, three = rows[0]["labels"], lines_of(generate(place, "--task", "colour", "--prompt", "test item 0: colour?", "--json", "--labels", *COLOURS))[0]["labels"]
    require(math.isclose(two["red"] / two["green"], three["red"] / three["green"], rel_tol=1e-4), "fewer labels leave the ratios as they are")


def check_logprobs(place):
    flags = ["--task", "echo", "--prompt", "write something", "--json", "--max-new-tokens", 5]
    answer = lines_of(generate(place, *flags, "--logprobs", 3))[0]
    for token in answer["logprobs"]:
        require(len(token["top"]) == 3 and token["top"][0]["id"] == token["id"] and token["logprob"] <= 0, f"greedy takes the best: {token}")
        require(token["top"][0]["logprob"] >= token["top"][1]["logprob"] >= token["top"][2]["logprob"], f"best first: {token}")
    alone = lines_of(generate(place, *flags, "--logprobs"))[0]
    require(all("top" not in token for token in alone["logprobs"]) and len(alone["logprobs"]) == len(answer["logprobs"]), f"{alone}")


def chat(place, text, *flags, task="echo"):
    return place.run("chat", "out", "--task", task, "--max-new-tokens", 5, "--verbose", *flags, input=text, stdin=None)


def check_chat(place):
    """Answers are those of the same conversations as rows; /task and /reset do what they say; a turn reads what is new alone."""
    process = chat(place, "first words of a long enough question\nsecond words\n/task colour\nthird\n/reset\nfirst words of a long enough question\n/exit\nnever\n")
    require(process.returncode == 0, process.stderr)
    answers = process.stdout.split("\n")
    require(len(answers) == 5 and answers[-1] == "", f"four answers: {answers}")
    turns = ["first words of a long enough question", answers[0], "second words", answers[1], "third"]
    rows = [{"messages": messages(*turns[:1]), "task": "echo"}, {"messages": messages(*turns[:3]), "task": "echo"},
            {"messages": messages(*turns), "task": "colour"}, {"messages": messages(*turns[:1]), "task": "colour"}]
    place.write("in.jsonl", jsonl(rows))
    expected = [row["answer"] for row in lines_of(generate(place, "--data", "in.jsonl", "--json", "--max-new-tokens", 5))]
    require(answers[:-1] == expected, f"the chat says {answers}, the same rows get {expected}")
    cached = [int(line.split(" tokens so far, ")[1].split()[0]) for line in process.stderr.splitlines() if "not read again" in line]
    require(cached[0] == 0 and cached[1] > 0, f"the second turn doesn't read the first again: {cached}")
    require(cached[2] == 0, f"another task reads everything anew: {cached}")
    require("/task NAME" in chat(place, "/help\n").stdout, "/help says what there is")
    system = chat(place, "first words of a long enough question\n", "--system", "Answer in French, at length.")
    require(system.returncode == 0, system.stderr)
    require(chat(place, "a\r\n\nb").stdout.count("\n") == 2, "Windows lines, blank ones and a last one without end")
    process = chat(place, "/reset \na\n/help  \n")
    require(process.returncode == 0 and "/task NAME" in process.stdout, f"blanks behind a command: {process.stderr}")
    folder = os.open("/", os.O_RDONLY)
    process = subprocess.run(place.command("chat", "out", "--task", "echo"), cwd=place.path, env=place.environment(), stdin=folder, capture_output=True, timeout=60)
    os.close(folder)
    require(process.returncode == 7 and b"standard input" in process.stderr, f"input that can't be read: {process.stderr}")


def check_arguments(place):
    """Texts arrive as they are: brackets, nothing at all, Windows lines."""
    flags = ["--task", "echo", "--json", "--max-new-tokens", 5]
    place.write("in.jsonl", jsonl([{"prompt": "[1, 2]"}]))
    from_file = lines_of(generate(place, *flags, "--data", "in.jsonl"))
    given = lines_of(generate(place, *flags, "--prompt", "[1, 2]"))
    require([row["answer"] for row in given] == [row["answer"] for row in from_file], f"one prompt, its brackets kept: {given}")
    labels = lines_of(generate(place, "--task", "echo", "--json", "--prompt", "x", "--labels", "[yes]", "[no]"))[0]["labels"]
    require(sorted(labels) == ["[no]", "[yes]"], f"labels keep their brackets: {labels}")
    process = place.run("generate", "out", "--task", "echo", "--prompt=", "--json")
    require("--json" not in process.stdout, f"a flag isn't the empty prompt's text: {process.stdout}")
    two = generate(place, *flags, input="a\r\n\r\nb\r\n", stdin=None)
    require(two == generate(place, *flags, input="a\nb\n", stdin=None).replace('"line":2', '"line":3'), f"Windows lines: {two}")
    with open("/dev/full", "w") as full:
        process = subprocess.run(place.command("generate", "out", *map(str, flags), "--prompt", "x"), cwd=place.path, env=place.environment(),
                                 stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60)
    require(process.returncode == 7 and b"standard output" in process.stderr, f"what can't be printed is an error: {process.stderr}")


def check_interrupt(place):
    """SIGINT stops an answer, not the program; SIGTERM ends it."""
    for attempt in range(5):
        process = subprocess.Popen(place.command("chat", "out", "--task", "echo", "--max-new-tokens", 100, "--temperature", 2), cwd=place.path,
                                   env=place.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"tell me everything\n")
        process.stdin.flush()
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        out, message = process.communicate(b"/help\n/exit\n", timeout=60)
        require(process.returncode == 0 and b"/task NAME" in out, f"the program goes on: {process.returncode} {message}")
        if b"the answer was stopped" in message:
            break
    else:
        raise AssertionError("no answer was stopped in five attempts")
    process = subprocess.Popen(place.command("chat", "out", "--task", "echo"), cwd=place.path, env=place.environment(), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"/help\n")
    process.stdin.flush()
    process.stdout.read(1)
    process.send_signal(signal.SIGTERM)
    require(process.wait(timeout=60) == INTERRUPTED, "SIGTERM ends a chat that waits")
    process.communicate()


def on_a_run(check):
    """The check where a short run stands in out/."""
    def checked(place, _):
        place.write_config(place.config())
        place.run_well("train", "run.yaml", "--quiet", "--train.max_steps=6", "--train.learning_rate=0.01")
        check(place)
    return checked


CHECKS = {"file": check_file, "resume": check_resume, "draws": check_draws, "stop": check_stop, "labels": check_labels,
          "logprobs": check_logprobs, "chat": check_chat, "arguments": check_arguments, "interrupt": check_interrupt}

if __name__ == "__main__":
    run_checks(__doc__, {name: on_a_run(check) for name, check in CHECKS.items()})
