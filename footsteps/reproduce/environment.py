"""The environment of a recorded run again: its Python, and its packages from where they came.

    >>> from footsteps.reproduce import environment
    >>> from footsteps.reader import runs
    >>> again = environment.Environment(runs.select("unet-3"), "again", {})
    >>> again.missing, again.commands()         # what can't be had, and what `make` would run
    ([], [["uv", "venv", ...], ["uv", "pip", "install", ...]])

A record may come from anybody, and to build a package is to run it: before `make` is called the index is
only asked, for wheels. So may be the folder that the command is given in: whatever is started here works
in an empty folder of its own, and takes neither modules nor settings from where we are.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from footsteps.reader import repositories
from footsteps.reader.formats import mapping, objects, text
from footsteps.recorder.format import FootstepsError, quote
from footsteps.reproduce.restored_paths import new_place

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from footsteps.reader.runs import Run

    Say = Callable[[str], object]

__all__ = ["Environment"]

# What would make the program a rank of something, a part of another run, or another Python's.
NOT_HANDED_ON = ("FOOTSTEPS_", "TORCHELASTIC_", "OMPI_", "PMI_", "PMIX_", "CONDA_", "ROLE_")
YET_THESE = ("OMPI_ALLOW_",)  # without which Open MPI's launcher refuses root, as in a container
NOR_THESE = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID",
    "SLURM_LOCALID", "SLURM_STEP_ID", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__",
)  # fmt: skip


class Environment:
    """A virtual environment with the recorded Python and packages, beside the restored code.

    Attributes:
        run: the recorded one; moved: recorded directories and where they are now.
        path: where it will be; python: its interpreter; base: the interpreter it is made from.
        requirements: lines for pip; missing: what can't be had, one sentence each.
    """

    def __init__(self, run: Run, directory: str, moved: Mapping[str, str], base: str = "") -> None:
        self.run, self.moved = run, moved
        self.path = os.path.abspath(environment_beside(directory))
        self.python = os.path.join(self.path, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
        self.uv = found_on_path("uv")
        self.missing: list[str] = []
        self.version = self.wanted_version()
        self.base = base_python(base or self.chosen_base())
        self.tell_base()
        self.requirements = [line for package in self.packages() for line in self.requirement(package)]
        self.substituted: list[str] = []  # names of packages in whose place the public version comes
        self.missing += self.not_offered()

    def packages(self) -> list[dict[str, Any]]:
        """The recorded packages without those that an environment brings itself, and footsteps."""
        return [p for p in objects(self.run.facts.get("packages")) if text(p.get("name")).lower() not in OWN]

    def wanted_version(self) -> str:
        """The recorded version of Python, "" if it is none."""
        wanted = text(mapping(self.run.facts.get("python")).get("version"))
        return wanted if is_word(wanted) and "-" not in wanted else ""

    def chosen_base(self) -> str:
        """The recorded version of Python if it is here or uv may get it, else the nearest that is here."""
        best = best_python(self.version)
        if self.uv and self.version and version_of(best) != self.version and uv_has_python(self.uv, self.version):
            return self.version
        return best

    def tell_base(self) -> None:
        """Tell if another Python takes the recorded one's place."""
        here = self.version if self.base == self.version else version_of(self.base)
        if self.version and here != self.version:
            self.missing.append(f"Python {self.version}: {here or self.base} takes its place")

    def requirement(self, package: Mapping[str, Any]) -> list[str]:
        """The line for one package; none, and a sentence, for one that can't be had."""
        name, version = text(package.get("name")), text(package.get("version"))
        if not is_word(name) or not is_word(version):
            self.missing.append(f"the package {name!r} {version!r}: this is no name and version")
            return []
        origin = mapping(package.get("direct_url"))
        if package.get("editable") or mapping(origin.get("dir_info")).get("editable"):
            return self.editable(package)
        address = address_of(origin, name)
        if address:
            return [address]
        place = new_place(path_of_url(text(origin.get("url"))), self.moved)
        if place and origin.get("dir_info") is not None and "\n" not in place:
            self.missing.append(f"{name} as it was installed from {origin['url']}: the restored code takes its place")
            return [f"{name} @ file://{percent(place)}"]
        if origin:
            said = f"from {text(origin.get('url')) or 'somewhere'}"
            self.missing.append(f"{name} {said}: {version} of the index takes its place")
        return [f"{name}=={version}"]

    def editable(self, package: Mapping[str, Any]) -> list[str]:
        """The line for an editable install, whose code the record holds."""
        url = text(mapping(package.get("direct_url")).get("url"))
        place = new_place(text(package.get("location")) or path_of_url(url), self.moved)
        if not place or "\n" in place:
            self.missing.append(f"{text(package.get('name'))}: its editable install was in no recorded repository")
            return []
        return [f"-e file://{percent(place)}"]

    def not_offered(self) -> Iterator[str]:
        """The plain requirements that the index does not offer as a wheel; those are asked for without building."""
        plain = [line for line in self.requirements if "==" in line and "://" not in line]  # others would be built
        if not plain or (not self.uv and not os.path.exists(self.base)):
            return
        refused, why = refused_by_index(self, plain)
        local = [line for line in refused if "+" in line]
        if local:
            public = [line.partition("+")[0] for line in local]
            also, why = refused_by_index(self, public)
            refused = [line for line in refused if line not in local or line.partition("+")[0] in also]
            yield from self.replaced([line for line in local if line.partition("+")[0] not in also])
        for line in refused:
            yield f"{line}: the index offers no wheel of it for this Python"
        if why:
            yield f"packages, maybe: which of them can be had could not be asked ({why})"

    def replaced(self, local: list[str]) -> Iterator[str]:
        """Ask for the public version in the place of each that is of a local build, and tell so."""
        for line in local:
            name, _, version = line.partition("==")
            public = version.partition("+")[0]
            self.requirements[self.requirements.index(line)] = f"{name}=={public}"
            self.substituted.append(name)
            yield f"{name} {version}: {public} of the index takes its place"

    def take_out_broken(self) -> None:
        """Take out what came in another one's place and can't be imported, as without the libraries of its build."""
        for name in self.substituted:
            status, output = ran([self.python, "-c", IMPORTED, name])
            if status:
                remove = [self.uv, "pip", "uninstall", "--python", self.python] if self.uv else []
                ran([*(remove or [self.python, "-m", "pip", "uninstall", "--yes"]), name])
                self.missing.append(f"{name}: the public version can't be imported ({last_line(output)})")

    def commands(self) -> list[list[str]]:
        """The commands that make it."""
        listed = os.path.join(self.path, "requirements.txt")
        if self.uv:
            made = [[self.uv, "venv", "--python", self.base, self.path, "--no-config"]]
            install = [self.uv, "pip", "install", "--no-config", "--python", self.python, "--no-deps", "-r", listed]
        else:
            made = [[self.base, "-I", "-m", "venv", self.path]]
            install = [self.python, "-I", "-m", "pip", "install", "--no-deps", "-r", listed]
        return [*made, install] if self.requirements else made

    def make(self, say: Say) -> None:
        """Make it, or nothing; a package that can't be had is told and left out. FootstepsError without a venv."""
        import shutil

        require_nothing(self.path)
        try:
            self.make_venv(say)
            self.install(say)
            self.take_out_broken()
            install_footsteps(self.python)
        except BaseException:  # an interrupt too: a half of one would be taken for one
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def make_venv(self, say: Say) -> None:
        """Make it empty; with the nearest Python that is here where uv can't get the recorded one."""
        say(f"making {self.path}")
        made = self.commands()[0]
        status, output = ran(made)
        if status and self.base == self.version:
            self.base = best_python(self.version)
            self.missing.append(f"{last_line(output)}: so not by uv")
            self.tell_base()
            made = self.commands()[0]
            status, output = ran(made)
        if status:
            raise FootstepsError(f"the environment could not be made: {last_line(output)}", hint=quote(made))

    def install(self, say: Say) -> None:
        """Install the packages, each by itself where not all can be had."""
        listed = os.path.join(self.path, "requirements.txt")
        self.list_in(listed, self.requirements)
        for install in self.commands()[1:]:
            say(f"installing {len(self.requirements)} packages")
            if ran(install)[0]:
                self.install_one_by_one([*install[:-1], listed + ".one"])

    def install_one_by_one(self, install: list[str]) -> None:
        """Install what can be, and tell the rest."""
        for line in self.requirements:
            self.list_in(install[-1], [line])
            status, output = ran(install)
            if status:
                self.missing.append(f"{line}: {last_line(output)}")
        os.unlink(install[-1])

    def list_in(self, path: str, lines: Iterable[str]) -> None:
        """Write requirements as pip and uv read them."""
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)


def environment_beside(place: str) -> str:
    """Where the environment of a rerun lies."""
    return place.rstrip(os.sep) + ".env"


def require_nothing(path: str) -> None:
    """Raises FootstepsError if anything is at the place of an environment: its packages would be mixed with others."""
    if os.path.lexists(path):
        raise FootstepsError(f"{path!r} is there already", hint="footsteps rerun RUN <a new directory> --env")


# ---------------------------------------------------------------------------------------------
# Interpreters
# ---------------------------------------------------------------------------------------------


def is_our_python(python: str) -> bool:
    """Whether an interpreter is the one that runs this: environments have links to one program, and other packages."""
    same_program = os.path.exists(python) and os.path.samefile(python, sys.executable)
    return same_program and os.path.samefile(os.path.dirname(python), os.path.dirname(sys.executable))


def installed(name: str) -> str:
    """The version of a package that this Python has, or ""."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


VERSIONS = """\
import sys
del sys.path[0]
from importlib import metadata
for name in sys.argv[1:]:
    try:
        print(metadata.version(name))
    except Exception:
        print()
"""


# Imports what a package brings, by what it says of itself.
IMPORTED = """\
import importlib, sys
from importlib import metadata
tops = metadata.distribution(sys.argv[1]).read_text("top_level.txt") or sys.argv[1].replace("-", "_")
importlib.import_module(tops.split()[0])
"""


# Tells the instructions that linear algebra libraries take here; nothing where numpy or threadpoolctl is missing.
KERNELS = """\
import sys
del sys.path[0]
import numpy, threadpoolctl
for pool in threadpoolctl.threadpool_info():
    print(pool.get("internal_api"), pool.get("architecture", ""))
"""


@cache
def kernels_in(python: str) -> dict[str, str]:
    """The processor for which an interpreter's linear algebra libraries have their instructions, by library."""
    status, said = ran([python, "-E", "-c", KERNELS], timeout=30, errors=False)
    rows = (line.split() for line in ([] if status else said.splitlines()))
    return {row[0]: row[1] for row in rows if len(row) == 2}


def versions_in(python: str, names: Sequence[str]) -> dict[str, str]:
    """The versions that an interpreter has of some packages, "" of those that it lacks; {} if it does not tell."""
    if is_our_python(python):
        return {name: installed(name) for name in names}
    # -E and not -I, by which packages of the user would be away; the first line takes the working directory away.
    status, said = ran([python, "-E", "-c", VERSIONS, *names], timeout=30, errors=False)
    return {} if status else dict(zip(names, said.splitlines(), strict=False))


def version_of(python: str) -> str:
    """The version of an interpreter, "" if it does not answer."""
    import platform

    if os.path.exists(python) and os.path.samefile(python, sys.executable):
        return platform.python_version()
    asked = [python, "-I", "-c", "import platform; print(platform.python_version())"]
    status, said = ran(asked, timeout=30, errors=False)
    return "" if status else said.strip()


# ---------------------------------------------------------------------------------------------
# Packages and installers
# ---------------------------------------------------------------------------------------------

INSTALLER_ANSWER = 60.0  # seconds in which an installer answers a question
OWN = ("pip", "footsteps", "lite-tracer", "lite_tracer")


def found_on_path(name: str) -> str:
    """Where a program is, absolute, as it is started from elsewhere; or ""."""
    import shutil

    found = shutil.which(name)
    return os.path.abspath(found) if found else ""


def best_python(wanted: str) -> str:
    """The interpreter here that is nearest to a version: the very one, else of the same minor version, else ours."""
    minor = ".".join(wanted.split(".")[:2])
    on_path = filter(None, map(found_on_path, (f"python{wanted}", f"python{minor}", "python3")))
    near = [sys.executable, *(pythons_in_folders(minor) if minor else []), *on_path]
    versions = {python: version_of(python) for python in dict.fromkeys(near)}
    same = [python for python, version in versions.items() if version == wanted]
    alike = [python for python, version in versions.items() if version.startswith(minor + ".")]
    best = (*same, *alike, sys.executable)[0]
    return base_python(best)


def pythons_in_folders(minor: str) -> list[str]:
    """Interpreters of a minor version that have a folder of their own: pyenv's, and those beside ours."""
    import glob

    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    folders = dict.fromkeys((os.path.join(pyenv, "versions"), os.path.dirname(sys.base_prefix)))
    patterns = (os.path.join(glob.escape(folder), minor + ".*", "bin", "python") for folder in folders)
    return [python for pattern in patterns for python in sorted(glob.glob(pattern))]


def base_python(python: str) -> str:
    """The interpreter that a virtual environment was made from, so that a new one does not hang on it."""
    if python == sys.executable and sys.prefix != sys.base_prefix:
        return str(getattr(sys, "_base_executable", python))
    return python


def uv_has_python(uv: str, wanted: str) -> bool:
    """Whether uv has this version of Python, or may download it."""
    found, _ = ran([uv, "python", "find", wanted, "--no-config"], INSTALLER_ANSWER)
    status, listed = (0, "") if found == 0 else ran([uv, "python", "list", wanted, "--no-config"], INSTALLER_ANSWER)
    return found == 0 or (status == 0 and bool(listed.strip()))


def address_of(origin: Mapping[str, Any], name: str) -> str:
    """What pip and uv take for a package's recorded commit or archive, "" where it has none that others can get."""
    url, folder = text(origin.get("url")), text(origin.get("subdirectory"))
    commit = text(mapping(origin.get("vcs_info")).get("commit_id"))
    if mapping(origin.get("vcs_info")).get("vcs") == "git" and is_word(commit):
        address = f"git+{url}@{commit}"
    elif origin.get("archive_info") is not None and url.startswith("https://"):
        address = url
    else:
        return ""
    if not is_url(url) or not is_url(f"file://{folder}"):
        return ""
    within = [f"subdirectory={folder}"] if folder else []
    if url.startswith("file:"):  # pip before 24.1 wants a host in what stands behind `name @`
        return address + "#" + "&".join([f"egg={name}", *within])
    return f"{name} @ " + "#".join([address, *within])


def path_of_url(url: str) -> str:
    """The path that a file URL, or a path, names."""
    from urllib.parse import unquote

    return unquote(url.removeprefix("file://")) if url.startswith("file://") else url


def is_word(word: str) -> bool:
    """Whether it may be a package's name or version, and nothing else to pip."""
    return bool(word) and word[0].isalnum() and all(c.isalnum() or c in "._+!-" for c in word) and word.isascii()


def is_url(url: str) -> bool:
    """Whether it may be an address in a list of requirements, and nothing else there."""
    plain = url.isascii() and url.isprintable() and not set(url) & set(" ;#$`\\\"'")
    return plain and "://" in url and not repositories.why_no_url(url)


def percent(path: str) -> str:
    """A path as a file URL has it."""
    from urllib.parse import quote as escaped

    return escaped(os.fsencode(path))


def refused_by_index(environment: Environment, lines: list[str]) -> tuple[list[str], str]:
    """Those of the requirements for which a dry run, which builds nothing, finds no wheel; why it stopped, or ""."""
    import tempfile

    refused: list[str] = []
    with tempfile.TemporaryDirectory(prefix="footsteps-") as folder:
        listed = os.path.join(folder, "requirements.txt")
        while len(refused) < len(lines):
            with open(listed, "w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in lines if line not in refused)
            status, output = ran(dry_run(environment, listed, folder), 10 * INSTALLER_ANSWER)
            if status and "connection broken by" in output:  # to which pip adds that there is no such package
                return refused, "no connection to the index"
            named = [line for line in lines if line not in refused and names(output, line)] if status else []
            if not named:
                return refused, last_line(output) if status else ""
            refused += named
    return refused, ""


def dry_run(environment: Environment, listed: str, folder: str) -> list[str]:
    """The command that asks the index for wheels of all requirements without installing one."""
    if environment.uv:
        options = ["--dry-run", "--no-deps", "--no-build", "--target", folder, *python_of_uv(environment.base)]
        return [environment.uv, "pip", "install", "--no-config", *options, "-r", listed]
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    return [environment.base, "-I", "-m", "pip", "install", *options, "-r", listed]


def python_of_uv(base: str) -> list[str]:
    """The options that choose wheels for an interpreter, or for a version that is yet to be downloaded."""
    return ["--python", base] if os.path.exists(base) else ["--python", sys.executable, "--python-version", base]


def names(output: str, line: str) -> bool:
    """Whether an installer's error is about a requirement; uv says foo-bar for Foo_Bar."""
    import re

    name, _, version = line.partition("==")
    alike = "[-_.]+".join(map(re.escape, re.split(r"[-_.]+", name)))
    return bool(re.search(rf"(?<![\w.-])(?i:{alike})=={re.escape(version)}(?![\w.])", output))


def own_environment() -> dict[str, str]:
    """Our environment without what belongs to another run, rank or Python."""
    others = (name for name in os.environ if name.startswith(NOT_HANDED_ON) and not name.startswith(YET_THESE))
    return {name: os.environ[name] for name in os.environ.keys() - {*others, *NOR_THESE}}


def ran(words: Sequence[str], timeout: float | None = None, *, errors: bool = True) -> tuple[int, str]:
    """Exit status and output of a program that tells of environments or makes them, started in an empty folder.

    Args:
        timeout: seconds; None: as long as it takes.
        errors: whether its stderr is a part of the output.
    """
    import subprocess
    import tempfile

    kept = {name: value for name, value in own_environment().items() if name != "PYTHONPATH"}
    if os.path.basename(words[0]) in ("uv", "uv.exe") and words[1] == "pip":
        kept = {**indexes_of_pip(), **kept}
    try:
        with tempfile.TemporaryDirectory(prefix="footsteps-") as empty:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=kept, cwd=empty, timeout=timeout,
                stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
                encoding="utf-8", errors="replace", check=False,
            )  # fmt: skip
    except OSError as error:
        return 127, f"{words[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, f"{words[0]} did not answer within {timeout:.0f} s"
    return done.returncode, done.stdout


UV_WORDS = {"index-url": "UV_INDEX_URL", "extra-index-url": "UV_EXTRA_INDEX_URL", "find-links": "UV_FIND_LINKS"}


@cache
def indexes_of_pip() -> dict[str, str]:
    """The indexes that pip is told of here, as variables for uv, which knows nothing of them (and looks in all then).

    Not as options, since a command is shown, and addresses may hold credentials.
    """
    import ast

    status, listed = ran([sys.executable, "-I", "-m", "pip", "config", "list"], timeout=30, errors=False)
    found: dict[str, str] = {}
    for key, _, value in (line.partition("=") for line in ([] if status else listed.splitlines())):
        name = UV_WORDS.get(key.rpartition(".")[2])
        if name and value[:1] in "'\"" and (places := ast.literal_eval(value).split()):
            found[name] = (", " if name == "UV_FIND_LINKS" else " ").join(places).replace(", ", ",")
    return {**found, "UV_INDEX_STRATEGY": "unsafe-best-match"} if found else {}


def last_line(output: str) -> str:
    """The line of an installer's output that tells most: the last error, with uv's causes, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no reason was given"]
    errors = [n for n, line in enumerate(lines) if line.lower().startswith(("error", "x ", "\u00d7"))]
    at = errors[-1] if errors else len(lines) - 1
    causes = [line.removeprefix("cause:") for line in lines[at + 1 :] if line.startswith("cause:")]
    return ":".join([lines[at], *causes])[:300]


def install_footsteps(python: str) -> None:
    """Put this footsteps into an environment: whatever index it has may know another one of this name."""
    import shutil

    _, output = ran([python, "-I", "-c", SITE])
    site = output.strip()
    if os.path.isdir(site) and not os.path.exists(os.path.join(site, "footsteps")):
        for package in own_packages():
            target = os.path.join(site, os.path.basename(package))
            shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__"))
        name_footsteps(site)


def name_footsteps(site: str) -> None:
    """Let installers and records know which footsteps is there, by the metadata of ours."""
    from footsteps.recorder.format import VERSION

    info = os.path.join(site, f"footsteps-{VERSION}.dist-info")
    os.makedirs(info, exist_ok=True)
    for name, content in (
        ("METADATA", f"Metadata-Version: 2.1\nName: footsteps\nVersion: {VERSION}\n"),
        ("INSTALLER", "footsteps\n"),
        ("top_level.txt", "footsteps\nlite_tracer\n"),
    ):
        with open(os.path.join(info, name), "w", encoding="utf-8") as file:
            file.write(content)


SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def own_packages() -> list[str]:
    """Where footsteps and lite_tracer lie: within footsteps in its source, beside it where it is installed."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = (os.path.join(package, "lite_tracer", "alias"), os.path.dirname(package))
    return [package, next(filter(os.path.isdir, (os.path.join(place, "lite_tracer") for place in places)))]
