"""The runner that scripts of checks share: each check in a workplace of its own, one line of outcome each."""
import argparse
import sys
import time

from workplace import Workplace


def require(condition, message):
    if not condition:
        raise AssertionError(message)


def run_checks(description, checks):
    """Runs `checks` ({name: function of (workplace, fixtures)}), all or those that --only names, and ends the process."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("--run-logits", help="the program of tests/train, for checks that compare logits")
    parser.add_argument("--only", default="", help="checks whose name holds this")
    options = parser.parse_args()
    chosen = {name: check for name, check in checks.items() if options.only in name}
    failures = []
    for name, check in chosen.items():
        began = time.monotonic()
        with Workplace(options.program, options.fixtures, run_logits=options.run_logits) as place:
            try:
                check(place, options.fixtures)
                outcome = "passed"
            except AssertionError as problem:
                failures.append(name)
                outcome = f"FAILED: {problem}"
        print(f"{name}: {outcome} ({time.monotonic() - began:.1f} s)", flush=True)
    sys.exit(bool(failures) or not chosen)
