"""Every wrong input gets its message: tables of wrong inputs, each with its exit code and what standard error must say.

  python tests/cli/errors.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME] [--show]
"""
import argparse
import shutil
import sys

from configuration_errors import COMMAND_LINE, CONFIGURATION
from damaged_files import DAMAGED
from generation_errors import GENERATION
from model_errors import MODELS
from row_errors import ROWS
from run_errors import RUNS
from workplace import Workplace

GROUPS = {"command line": COMMAND_LINE, "configuration": CONFIGURATION, "rows": ROWS, "models": MODELS, "runs": RUNS, "generation": GENERATION,
          "files": DAMAGED}


def merge(target, changes):
    for key, value in changes.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def make(case, place, finished_run):
    config = place.config()
    if case.spoil_model or "model" in case.arguments:
        shutil.copytree(place.model, place.path / "model")
        config["model"] = "model"
    if case.spoil_model:
        case.spoil_model(place.path / "model")
    if case.needs_run:
        shutil.copytree(finished_run, place.path / "out")
        config["model"] = str(place.model)
    merge(config, case.config)
    place.write_config(config)
    for name, content in case.files.items():
        place.write(name, content)
    if case.prepare:
        case.prepare(place)


def problems_of(case, process):
    found = []
    if process.returncode != case.code:
        found.append(f"exit code {process.returncode}, expected {case.code}")
    found += [f"standard error doesn't say {text!r}" for text in case.says if text not in process.stderr]
    if not process.stderr.startswith("error: ") and "\nerror: " not in process.stderr:
        found.append("no line begins with `error: `")
    if "terminate called" in process.stderr or "internal" in process.stderr:
        found.append("an exception got through")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--show", action="store_true", help="print what each case says")
    options = parser.parse_args()

    failures = count = 0
    with Workplace(options.program, options.fixtures) as origin:
        origin.write_config(origin.config())
        origin.run_well("train", "run.yaml", "--quiet")
        for group, cases in GROUPS.items():
            for case in cases:
                if options.only not in case.name:
                    continue
                count += 1
                with Workplace(options.program, options.fixtures) as place:
                    make(case, place, origin.path / "out")
                    process = place.run(*case.arguments, **case.options)
                    problems = problems_of(case, process)
                    # What fails leaves nothing half-written behind.
                    problems += [f"{path.name} was left behind" for path in place.path.rglob("*.partial*")]
                failures += bool(problems)
                if problems or options.show:
                    print(f"{'FAILED' if problems else 'passed'}  {group}: {case.name}\n  {'; '.join(problems)}\n{process.stderr.strip()}\n")
    print(f"{count - failures} of {count} wrong inputs got their message")
    sys.exit(failures > 0 or count == 0)


if __name__ == "__main__":
    main()
