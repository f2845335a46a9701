"""The comparisons that scripts of the examples write can be read, and hold as many runs as they should. Written into a copy.

  python tests/cli/example_specs.py --program PATH --fixtures FOLDER [--only PART_OF_A_NAME]
"""
import pathlib
import shutil
import subprocess
import sys

from checks import require, run_checks

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NO_RESULTS = 4


def copy(place, folder, *names):
    for name in names:
        (place.path / folder).mkdir(exist_ok=True)
        if (EXAMPLES / folder / name).is_dir():
            (place.path / folder / name).symlink_to(EXAMPLES / folder / name)
        else:
            shutil.copy(EXAMPLES / folder / name, place.path / folder)


def require_runs(place, spec, count):
    """Every configuration is read before a report alone finds that there is nothing to report."""
    process = place.run("compare", spec, "--report-only", "--output=reports", "--results=none")
    require(process.returncode == NO_RESULTS and f"0 of {count} results" in process.stderr, f"{spec}: {process.returncode} {process.stderr}")


def check_degrees(place, _):
    """Four methods, three seeds."""
    copy(place, "icd10", "base_model")
    copy(place, "synthetic", "build.py", "degrees.py", "conflict.yaml")
    subprocess.run([sys.executable, "-B", place.path / "synthetic/degrees.py"], check=True)
    specs = sorted(place.path.glob("synthetic/degrees/*/compare.yaml"))
    require(len(specs) == 5, f"a comparison for each degree: {specs}")
    for spec in specs:
        require_runs(place, spec, 4 * 3)


def check_shuffled_ids(place, _):
    """Three methods, three seeds."""
    copy(place, "icd10", "base_model", "data", "draws.py", "moelora.yaml", "shuffled_ids.py")
    subprocess.run([sys.executable, "-B", place.path / "icd10/shuffled_ids.py"], check=True)
    require_runs(place, place.path / "icd10/shuffled_ids/compare.yaml", 3 * 3)


if __name__ == "__main__":
    run_checks(__doc__, {"degrees of conflict": check_degrees, "shuffled ids": check_shuffled_ids})
