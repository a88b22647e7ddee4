"""Other programs that the program starts: what they read is seen by nobody, so that no record may claim to know it.

Imported late, when the first one is started.
"""

from __future__ import annotations

import os
import re
import sys

from footsteps.recorder.format import bytes_of, imported_at
from footsteps.recorder.hooks import PACKAGE_FOLDER, RECORDER_FOLDER, own_errors_dropped
from footsteps.recorder.places import temporary_folders
from footsteps.recorder.program import is_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What tells of the machine or the code, or makes and removes files: no results hang on what these read.
HARMLESS = frozenset(
    ("basename", "chmod", "clear", "conda", "date", "df", "dirname", "du", "echo", "false", "free", "git", "hostname",
     "id", "ip", "kill", "ldconfig", "ls", "lscpu", "lspci", "mkdir", "nproc", "nvcc", "nvidia-smi", "pip", "pgrep",
     "printenv", "ps", "pwd", "rm", "rmdir", "rocm-smi", "rocminfo", "sleep", "stty", "sysctl", "tput", "true", "tty",
     "uname", "uptime", "uv", "which", "whoami")
)  # fmt: skip


# What reads the files that its words name, and no others.
READS_WHAT_IT_IS_TOLD = frozenset(
    ("bunzip2", "bzip2", "cat", "cmp", "cp", "cut", "diff", "gunzip", "gzip", "head", "ln", "md5sum", "mv", "sha1sum",
     "sha256sum", "sort", "tail", "touch", "uniq", "unxz", "wc", "xz", "zcat")
)  # fmt: skip


def started(command: Any) -> tuple[str, list[str]]:
    """The name of a program that is started, and the files that its words name.

    "" for one of footsteps, one that reads nothing of interest, and for one that a library starts without a file.
    """
    caller = caller_of_subprocess()
    words = words_of(command)
    name = os.path.basename(words[0]).removesuffix(".exe") if words else ""
    if caller.startswith(PACKAGE_FOLDER) or name in HARMLESS or not name:
        return "", []
    files = [file for word in words[1:] for file in (word, word.partition("=")[2]) if is_data(file)]
    if not files and is_installed(caller):
        return "", []
    if name in READS_WHAT_IT_IS_TOLD and not any(map(os.path.isdir, words[1:])):
        return "", files
    scripts = [os.path.basename(file) for file in files[:1] if name.startswith("python") and file.endswith(".py")]
    return " ".join([name, *scripts]), files


STRANGERS = "worker processes without footsteps"
IMPORTS_US = re.compile(r"^(?:import|from)\b[^#\n]*\bfootsteps\b", re.MULTILINE)


def strangers() -> str:
    """What is said of worker processes that are started anew, "" where they import footsteps.

    multiprocessing's execute the main module's source again, as far as it is not in `if __name__ == "__main__"`;
    joblib's do not.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if "loky" in caller_of_subprocess() or not isinstance(main, str):
        return STRANGERS
    with own_errors_dropped:
        return "" if IMPORTS_US.search(bytes_of(main).decode("utf-8", "replace")) else STRANGERS
    return STRANGERS


def words_of(command: Any) -> list[str]:
    """The words of a command, a list or a line for a shell; of `sh -c LINE` those of the line."""
    import shlex

    if isinstance(command, (str, bytes, os.PathLike)):
        line = os.fsdecode(command)
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
    else:
        words = [os.fsdecode(word) for word in command]
    shell = len(words) == 3 and os.path.basename(words[0]) in ("sh", "bash") and words[1] == "-c"
    return words_of(words[2]) if shell else words


def is_data(name: str) -> bool:
    """Whether a word names a file that a program may read; none that a library has just made in a temporary folder."""
    if not name or "\0" in name or not os.path.isfile(name):
        return False
    return os.stat(name).st_mtime < imported_at or not os.path.abspath(name).startswith(temporary_folders())


def caller_of_subprocess() -> str:
    """The source of whoever starts the program: the first above us and above Python's own modules."""
    frame: Any = sys._getframe(1)  # noqa: SLF001
    python = ("<frozen ", os.path.join(os.path.dirname(os.__file__), ""))
    while frame is not None:
        file = str(frame.f_code.co_filename)
        if file not in FOLLOWING and (not file.startswith(python) or is_installed(file)):
            return file
        frame = frame.f_back
    return ""


# Between the call and here; whatever else of the recorder starts a program is its own affair.
FOLLOWING = {f"{RECORDER_FOLDER}{name}.py" for name in ("children", "inputs", "hooks", "libraries")}
