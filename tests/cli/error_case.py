"""A wrong input and what must be said of it: the rows of the tables that errors.py runs."""
import resource
import signal
from dataclasses import dataclass, field
from typing import Callable

USAGE, CONFIG, DATA, MODEL, NUMERIC, IO, LIMIT = 2, 3, 4, 5, 6, 7, 9
LONG = "a long text. " * 40
TRAIN = ["train", "run.yaml"]


@dataclass
class Case:
    name: str
    code: int
    says: list            # each must stand in standard error
    arguments: list = field(default_factory=lambda: ["validate", "run.yaml"])
    config: dict = field(default_factory=dict)    # merged into the valid one; a value of None removes the key
    files: dict = field(default_factory=dict)     # path -> content; None removes it
    spoil_model: Callable = None                  # is handed a copy of the model's directory, which is then used
    needs_run: bool = False                       # a finished run stands in out/
    prepare: Callable = None                      # is handed the workplace, last
    options: dict = field(default_factory=dict)   # of the process


def small_disk(size):
    """A write beyond `size` bytes of a file fails, as on a full disk: the signal that would end the process is ignored."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return {"preexec_fn": limit}
