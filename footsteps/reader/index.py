"""The index of a root's runs: one sqlite file in the user's cache, which may be thrown away at any time.

Nothing that it says is its own: a directory whose time has changed is read again, and a run that
is not over (or is damaged) is compared with its files each time. `footsteps.reader.search` asks it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from footsteps.reader.expressions import (
    EQUAL,
    FACTS,
    IDS,
    PACKAGE_PREFIX,
    TIME_FACTS,
    WORDED,
    Expression,
    is_version,
    parameters,
    plain_value,
    typed_form,
)
from footsteps.reader.formats import DAMAGED, Problem, kind_of_record, seconds, text
from footsteps.reader.runs import OUTCOMES, Run, Walk, is_alive
from footsteps.recorder.format import RECORDED, from_json, hasher
from footsteps.recorder.machine import host_name
from footsteps.recorder.resume import records_of

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    Watch = Callable[[Iterable[Run], str], Iterator[Run]]

ARTIFACT, INPUT = "artifact", "input"


def indexed_files(run: Run, role: str) -> Iterator[tuple[str, str, int, int]]:
    """Path, hash or "", size and time (ns) of the files that a run made or read."""
    for file in run.artifacts if role == ARTIFACT else run.inputs:
        numbers = [file.get(key) for key in ("size", "mtime_ns")]
        size, written = (n if isinstance(n, int) and 0 <= n < 2**63 else -1 for n in numbers)
        if text(file.get("path")):
            yield spelled(file["path"]), text(file.get("sha256")).lower(), size, written


def spelled(path: str) -> str:
    """A recorded path; one that no file here can have is spelled out (JSON can hold halves of characters)."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return encodable(path)
    return path


# ---------------------------------------------------------------------------------------------
# The index: one sqlite file for each root, in the user's cache; may be thrown away at any time
# ---------------------------------------------------------------------------------------------


INDEX_FROM = 100  # runs, and directories that are none, below a root from which an index is worth its file
INSIDE_TO = 3_000  # up to so many runs, each finished one is looked at for changes on every call
RECENT = 86400  # seconds; to a run begun or ended since then, other ranks may add after the first has ended it
BYPASSED = "not used, an index that can't be kept"
LAYOUT = 4  # of the tables; another one has another file
RACY = 2_000_000_000  # ns; what changed so shortly before it was read may change again unseen
STORED_AT_ONCE = 1000  # runs stored at once: a killed writer loses no more
TABLES = f"""
CREATE TABLE groups (path BLOB PRIMARY KEY, parent BLOB, changed INTEGER) WITHOUT ROWID;
CREATE INDEX groups_parent ON groups (parent);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB UNIQUE, parent BLOB, inode INTEGER,
    format TEXT, final INTEGER, stamp TEXT, start REAL, last REAL, packages INTEGER, words TEXT, damage TEXT,
    {", ".join(f'"{name}"' for name in FACTS)}
);
CREATE INDEX runs_parent ON runs (parent, path, inode);
CREATE INDEX runs_start ON runs (start, "id", path);
CREATE INDEX runs_last ON runs (last);
CREATE INDEX runs_open ON runs (run) WHERE NOT final;
CREATE INDEX runs_without_end ON runs (run) WHERE "status" NOT IN {OUTCOMES};
CREATE INDEX runs_damage ON runs (run) WHERE damage IS NOT NULL;
CREATE TABLE packages (packages INTEGER PRIMARY KEY, versions TEXT UNIQUE);
CREATE TABLE names (name INTEGER PRIMARY KEY, said TEXT UNIQUE);
CREATE TABLE parameters (
    name INTEGER, run INTEGER, value, json INTEGER, PRIMARY KEY (name, run)
) WITHOUT ROWID;
CREATE TABLE files (
    hash BLOB, size INTEGER, written INTEGER, role TEXT, path BLOB, run INTEGER
);
CREATE INDEX files_hash ON files (hash) WHERE hash IS NOT NULL;
CREATE INDEX files_size ON files (size) WHERE hash IS NULL;
PRAGMA user_version = {LAYOUT};
"""


def cache_directory() -> str:
    """Where what readers compute may be kept, by the platform's custom."""
    import sys

    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(usual)
    return os.path.join(base, "footsteps")


def index_file(root: str) -> str:
    """The index of a root: of this machine, for another one sees other processes."""
    key = "\0".join((host_name(), os.path.realpath(root), os.path.abspath(root)))
    digest = hasher("sha256")(os.fsencode(key)).hexdigest()[:24]
    return os.path.join(cache_directory(), f"runs-{LAYOUT}-{digest}.sqlite")


class RunIndex:
    """What is known of one root's runs, as of the last `refresh`.

    Nothing that it says is its own: a directory whose time has changed is read again, and a run
    that is not over (or is damaged) is compared with its files each time.
    """

    def __init__(self, root: str, path: str) -> None:
        import sqlite3

        self.root, self.path = os.path.abspath(root), path
        self.numbers: dict[tuple[str, str], int] = {}
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self.db = sqlite3.connect(path, timeout=5, isolation_level=None)

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    def layout(self) -> int:
        """Of the tables that are there; 0 for a new file."""
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def make_tables(self) -> None:
        """Make the tables, unless another process has just done so."""
        self.db.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
        with self.writing():
            if self.layout() != LAYOUT:
                for statement in TABLES.split(";"):
                    self.db.execute(statement)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction; what goes wrong inside is as if it had not begun."""
        self.db.execute("PRAGMA synchronous = OFF")  # after a crash of the machine: made anew
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.db.in_transaction:  # a full disk has ended it
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @classmethod
    def of(cls, root: str, met: list[Problem], watch: Watch) -> RunIndex | None:
        """The root's index, up to date; None where there is none, can't be one, or need not be."""
        path = index_file(root)
        if not os.path.exists(path) and is_small(root):
            return None
        for attempt in range(2):
            index = None
            try:
                index = cls(root, path)
                index.refresh(met, watch)
            except Exception as error:  # as in `answers`
                if index:
                    index.close()
                if attempt or not is_damage(error):
                    met.append(Problem(BYPASSED, path, str(error)))
                    return None
                forget(path)  # damaged: what it knew can be read again
            else:
                return index
        return None

    # keeping up with the directories

    def refresh(self, met: list[Problem], watch: Watch) -> None:
        """Read what has changed below the root since the last time."""
        if self.layout() != LAYOUT:
            self.make_tables()
        self.db.execute("PRAGMA mmap_size = 1073741824")
        groups = self.db.execute("SELECT path, changed FROM groups").fetchall()
        if not groups:
            left = [path for (path,) in self.db.execute("SELECT path FROM runs")]  # by a killed writer
            self.read_again(left, met, watch)
            self.read(Walk(self.root, met), [self.root], watch)
        for path, changed in groups:
            if changed != group_time(self.full(path)):
                self.read_group(path, met, watch)
        self.read_again(self.changed() if groups else [], met, watch)
        met += self.damage()

    def damage(self) -> list[Problem]:
        """What could not be read of runs when they were read."""
        rows = self.db.execute("SELECT path, damage FROM runs WHERE damage IS NOT NULL")
        return [Problem(kind, os.path.join(self.full(p), at), why) for p, d in rows for kind, at, why in from_json(d)]

    def full(self, path: bytes) -> str:
        """The absolute path of a path below the root."""
        return os.path.join(self.root, os.fsdecode(path)) if path else self.root

    def below(self, path: str) -> bytes:
        """The path below the root of an absolute one."""
        return os.fsencode(path[len(self.root) :].lstrip(os.sep))

    def changed(self) -> list[bytes]:
        """The runs that are not as they were read; of finished ones, few are looked at, not many."""
        recent = time.time() - RECENT
        watched = "SELECT path, stamp FROM runs WHERE NOT final UNION SELECT path, stamp FROM runs WHERE last > ?"
        rows = self.db.execute(watched, (recent,)).fetchall()
        found = [path for path, stamp in rows if not stamp or stamp != stamp_of(self.full(path))]
        if self.db.execute("SELECT count(*) FROM runs").fetchone()[0] <= INSIDE_TO:
            rows = self.db.execute("SELECT path, stamp FROM runs WHERE final AND last <= ?", (recent,)).fetchall()
            found += [path for path, stamp in rows if not self.is_still(path, stamp)]
        return found

    def is_still(self, path: bytes, stamp: str) -> bool:
        """Whether nothing was put into a finished run's directory, another run for one, or into its record."""
        return stamp.rpartition(":")[0] == times_of(self.full(path))

    def read_group(self, path: bytes, met: list[Problem], watch: Watch) -> None:
        """Take what is new in a directory, drop what is gone."""
        full = self.full(path)
        if (path and kind_of_record(full)) or not os.path.isdir(full):
            return self.read_again([path], met, watch)
        changed = settled_time(full)
        try:
            there = dict(folders_in(full))
        except OSError:  # a walk says why
            return self.read_again([path], met, watch)
        rows = self.db.execute(
            "SELECT path, inode FROM runs WHERE parent = ?1 UNION ALL SELECT path, NULL FROM groups WHERE parent = ?1",
            (path,),
        )
        here = {os.path.basename(row): (row, inode) for row, inode in rows if row != path}
        same = {n for n, (_, inode) in here.items() if n in there and inode in (None, there[n])}
        gone = [row for name, (row, _) in here.items() if name not in same]
        new = [os.path.join(full, os.fsdecode(name)) for name in there.keys() - same]
        walk = Walk(self.root, met)
        self.read(walk, new, watch, gone)
        if full not in walk.groups:
            with self.writing():
                self.db.execute("UPDATE groups SET changed = ? WHERE path = ?", (changed, path))
        return None

    def read_again(self, paths: Sequence[bytes], met: list[Problem], watch: Watch) -> None:
        """Forget some directories and read them as if they were new; of those that are gone, look where they were."""
        gone = [path for path in paths if not os.path.isdir(self.full(path))]
        for at in range(0, len(paths), STORED_AT_ONCE):
            some = paths[at : at + STORED_AT_ONCE]
            there = [self.full(path) for path in some if os.path.isdir(self.full(path))]
            self.read(Walk(self.root, met), there, watch, some)
        for above in {os.path.dirname(path) for path in gone if path}:  # which may only be closed for now
            self.read_group(above, met, watch)

    def read(self, walk: Walk, starts: Sequence[str], watch: Watch, instead_of: Sequence[bytes] = ()) -> None:
        """Store the runs and groups at and below some directories, in batches.

        What they stand for goes in the same transaction: nobody finds neither the old nor the new.
        """
        from itertools import chain, islice

        found = watch(chain.from_iterable(map(walk.runs, starts)), "reading runs")
        for batch in iter(lambda: [read_row(run) for run in islice(found, STORED_AT_ONCE)], []):
            with self.writing():
                self.drop(instead_of)
                instead_of = ()
                for row in batch:
                    self.store(row)
        groups = [
            (self.below(path), self.below(os.path.dirname(path)), settled(changed))
            for path, changed in walk.groups.items()
        ]
        if groups or instead_of:
            with self.writing():
                self.drop(instead_of)
                self.db.executemany("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", groups)

    def drop(self, paths: Sequence[bytes]) -> None:
        """Forget some directories and all below them."""
        if b"" in paths:  # the root, below which all is
            self.db.execute("DELETE FROM runs")
            self.db.execute("DELETE FROM groups")
            return
        after = os.fsencode(chr(ord(os.sep) + 1))
        bounds = [(path, path + os.fsencode(os.sep), path + after) for path in paths]
        where = "path = ? OR (path > ? AND path < ?)"
        for table in ("runs", "groups"):
            self.db.executemany(f"DELETE FROM {table} WHERE {where}", bounds)  # noqa: S608

    def store(self, row: Row) -> None:
        """Insert one run, unless another process has just done so."""
        place = (self.below(row.directory), self.below(os.path.dirname(row.directory)))
        packages = self.number_of("packages", row.versions)
        made = self.db.execute(INSERT_RUN, (*place, packages, *row.values))
        if not made.rowcount:
            return
        run = made.lastrowid
        self.db.executemany(
            "INSERT OR REPLACE INTO parameters VALUES (?, ?, ?, ?)",
            [(self.number_of("names", n), run, *storable(v)) for n, v in row.parameters.items()],
        )
        self.db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", [(*file, run) for file in row.files])

    def number_of(self, table: str, value: str) -> int:
        """The number of a parameter's name or of a set of packages, a new one if need be."""
        if (table, value) not in self.numbers:
            column = {"names": "said", "packages": "versions"}[table]
            insert = f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)"  # noqa: S608
            select = f"SELECT rowid FROM {table} WHERE {column} = ?"  # noqa: S608
            self.db.execute(insert, (value,))
            self.numbers[table, value] = self.db.execute(select, (value,)).fetchone()[0]
        return self.numbers[table, value]

    # answers

    def newest(self, most: int | None) -> Iterator[Run]:
        """All runs, or so many, the newest first."""
        order = 'ORDER BY start DESC, "id" DESC, path DESC LIMIT ?'
        select = f"SELECT {COLUMNS} FROM runs {order}"  # noqa: S608
        return map(self.made, self.db.execute(select, (-1 if most is None else most,)))

    def names(self) -> Iterator[str]:
        """The names of the arguments, recorded values and packages of all runs."""
        there = "SELECT 1 FROM parameters JOIN runs USING (run) WHERE parameters.name = names.name"
        yield from (name for (name,) in self.db.execute(f"SELECT said FROM names WHERE EXISTS ({there})"))  # noqa: S608
        for (versions,) in self.db.execute(
            "SELECT versions FROM packages WHERE packages IN (SELECT packages FROM runs)"
        ):
            yield from map(PACKAGE_PREFIX.__add__, from_json(versions))

    def without_end(self) -> Iterator[Run]:
        """The runs that have not said how they ended."""
        select = f'SELECT {COLUMNS} FROM runs WHERE "status" NOT IN {OUTCOMES}'  # noqa: S608
        return map(self.made, self.db.execute(select))

    def made(self, row: Sequence[Any]) -> Run:
        """A run from a row of GIVEN; what else is asked of it comes from its files."""
        path, kind, start, run_id, code_id, hash_code, status = row[: len(GIVEN)]
        run = Run(self.full(path), self.root, kind)
        run.__dict__.update(start=start, id=run_id, code_id=code_id, hash_code=hash_code)
        if status is not None:
            run.__dict__["status"] = status
        return run

    def matching(self, wanted: Sequence[Expression], unwanted: Sequence[Expression]) -> list[Run]:
        """The runs for which all of some expressions hold and none of the others."""
        self.db.execute("BEGIN")  # one state for all questions, whatever others write meanwhile
        found: set[int] | None = None
        for each in wanted:
            found = self.runs_for(each) if found is None else found & self.runs_for(each)
        for each in unwanted:
            found = (self.all_runs() if found is None else found) - self.runs_for(each)
        matched = [self.made(row) for row in self.rows_of(self.all_runs() if found is None else found)]
        self.db.execute("COMMIT")
        return matched

    def rows_of(self, numbers: set[int]) -> Iterator[Sequence[Any]]:
        """The rows of GIVEN of some runs."""
        wanted = sorted(numbers)
        for at in range(0, len(wanted), STORED_AT_ONCE):
            some = ", ".join(map(str, wanted[at : at + STORED_AT_ONCE]))
            yield from self.db.execute(f"SELECT {COLUMNS} FROM runs WHERE run IN ({some})")  # noqa: S608

    def all_runs(self) -> set[int]:
        """The numbers of all runs."""
        return {run for (run,) in self.db.execute("SELECT run FROM runs")}

    def runs_for(self, asked: Expression) -> set[int]:
        """The numbers of the runs for which an expression holds."""
        if not asked.operator:
            rows = self.db.execute("SELECT run FROM runs WHERE instr(words, ?)", (encodable(asked.folded),))
            return {run for (run,) in rows}
        found = self.by_packages(asked) if asked.name.startswith(PACKAGE_PREFIX) else set()
        plainly = Expression(asked.name, asked.operator, encodable(asked.value))
        for name in filter(asked.concerns, FACTS):
            where, values = narrowed(plainly, name)
            select = f'SELECT run, "{name}" AS value, 0 AS json FROM runs WHERE {where}'  # noqa: S608
            found |= holding(plainly, name, self.of_today(name, self.db.execute(select, values)))
        for number, name in self.db.execute("SELECT name, said FROM names").fetchall():
            if asked.concerns(name):
                where, values = narrowed(asked, name)
                select = f"SELECT run, value, json FROM parameters WHERE name = :fact AND {where}"  # noqa: S608
                found |= holding(asked, name, self.db.execute(select, {"fact": number, **values}))
        return found

    def of_today(self, name: str, rows: Iterable[tuple[int, Any, int]]) -> Iterator[tuple[int, Any, int]]:
        """Values of a fact as they are by now: a running run's duration grows."""
        now = time.time()
        running = "SELECT run, start FROM runs WHERE NOT final AND status = 'running'"
        begun = dict(self.db.execute(running)) if name == "duration" else {}
        for run, value, coded in rows:
            grown = now - begun[run] if run in begun else value
            yield run, bool(value) if name == "changed" and value is not None else grown, coded

    def by_packages(self, asked: Expression) -> set[int]:
        """The runs whose packages an expression fits; few sets of packages are used many times."""
        sets = {
            number
            for number, versions in self.db.execute("SELECT packages, versions FROM packages")
            if any(
                asked.holds(PACKAGE_PREFIX + name, version)
                for name, version in from_json(versions).items()
                if asked.concerns(PACKAGE_PREFIX + name)
            )
        }
        rows = self.db.execute("SELECT run, packages FROM runs") if sets else ()
        return {run for run, number in rows if number in sets}

    def holders(self, sha256: str, size: int | None, role: str) -> Iterator[tuple[Run, str, str, int]]:
        """Files with this hash, or with this size and none: run, path, hash or "", time."""
        select = (
            f"SELECT {COLUMNS}, files.path, lower(hex(hash)), written"  # noqa: S608
            " FROM files JOIN runs USING (run) WHERE role = ? AND "
        )
        for condition, value in (("hash = ?", hash_bytes(sha256)), (UNHASHED, size)):
            for row in self.db.execute(select + condition, (role, value)):
                path, kept, written = row[len(GIVEN) :]
                yield self.made(row), os.fsdecode(path), kept or "", written


GIVEN = ("runs.path", "format", "start", '"id"', "code_id", "hash_code", "CASE WHEN final THEN status END")
COLUMNS = ", ".join(GIVEN)
UNHASHED = "hash IS NULL AND size = ?"
OF_RUN = ("inode", "format", "final", "stamp", "start", "last", "words", "damage", *FACTS)
INSERT_RUN = (
    "INSERT OR IGNORE INTO runs (path, parent, packages, "  # noqa: S608
    + ", ".join(f'"{name}"' for name in OF_RUN)
    + f") VALUES ({', '.join('?' * (3 + len(OF_RUN)))})"
)


class Row:
    """What the index keeps of one run, read from its files."""

    def __init__(self, run: Run) -> None:
        import json

        stamp = stamp_of(run.directory)  # before anything is read: what changes later is seen
        self.directory = run.directory
        facts = [plain_value(fact(run)) for fact in FACTS.values()]
        self.parameters = {encodable(name): value for name, value in parameters(run).items()}
        self.versions = json.dumps(run.packages)
        self.files = [
            (hash_bytes(kept), size, None if kept else written, role, os.fsencode(path))
            for role in (ARTIFACT, INPUT)
            for path, kept, size, written in indexed_files(run, role)
        ]
        damage = json.dumps([(p.kind, os.path.relpath(p.path, run.directory), p.detail) for p in run.damage])
        words = "\n".join((*map(typed_form, facts), *searched_words(self.parameters))).casefold()
        kind = kind_of_record(run.directory)
        last = max(run.start, seconds(text(run.outcome.get("ended"))))
        own = (inode_of(run.directory), kind, is_over(run), stamp, run.start, last, encodable(words))
        stored = [encodable(fact) if isinstance(fact, str) else fact for fact in facts]
        self.values = (*own, damage if run.damage else None, *stored)


def read_row(run: Run) -> Row:
    """What the index keeps of a run; of one that is damaged beyond that, its place and the problem."""
    try:
        return Row(run)
    except Exception as error:  # one record ends no command for the others
        bare = type(run)(run.directory, run.root, "run")
        vars(bare).update(facts={}, outcome={}, log=[], repositories=[], inputs=[])
        bare.damage.append(Problem(DAMAGED, run.directory, f"{type(error).__name__}: {error}"))
        return Row(bare)


def is_over(run: Run) -> bool:
    """Whether nothing will be added to a run's record any more, as far as can be seen from here."""
    if run.damage:
        return False
    if run.outcome.get("status") in OUTCOMES or run.status == "died":
        return True
    if run.facts.get("process"):
        return run.status != "running" and is_alive(run.last_facts) is False
    return run.start < time.time() - 60  # older formats are written at once


def searched_words(values: dict[str, Any]) -> Iterator[str]:
    """The names and values in which a word is looked for."""
    for name, value in values.items():
        if name not in FACTS:
            yield name
        yield typed_form(value)


def storable(value: Any) -> tuple[Any, int]:
    """A parameter as a column holds it, and whether that is JSON."""
    import json

    number_fits = isinstance(value, float) and value == value  # noqa: PLR0124 - sqlite has no nan
    number_fits |= isinstance(value, int) and abs(value) < 2**63 and not isinstance(value, bool)
    if number_fits or (isinstance(value, str) and value == encodable(value)):
        return value, 0
    return json.dumps(value, default=repr), 1


def encodable(words: str) -> str:
    """The text with what is no text (bytes of another encoding) spelled out."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return words.encode("utf-8", "backslashreplace").decode()
    return words


def hash_bytes(sha256: str) -> bytes | None:
    """A hash as it is stored; None if there is none."""
    try:
        return bytes.fromhex(sha256) or None
    except ValueError:
        return None


def narrowed(asked: Expression, name: str) -> tuple[str, dict[str, Any]]:
    """A condition in SQL that is true wherever the expression holds, and mostly only there."""
    values = {"words": encodable(asked.value), "number": asked.number, "length": len(asked.value)}
    if is_version(name) or name in ("changed", "duration", *WORDED):
        return "TRUE", {}
    if asked.operator not in EQUAL:
        if name in TIME_FACTS:
            return f"(json OR substr(value, 1, :length) {asked.operator} :words)", values
        return f"(typeof(value) = 'text' OR value {asked.operator} :number)", values
    if name in IDS:
        same = "instr(value, :words) OR instr(:words, value) = 1"
    elif name in TIME_FACTS:
        same = "instr(value, :words) = 1"
    elif asked.number is None:
        same = "value = :words OR typeof(value) <> 'text'"
    else:
        same = "value = :number OR typeof(value) = 'text'"
    return f"({same} OR json OR value IS NULL OR value = '')", values


def holding(asked: Expression, name: str, rows: Iterable[tuple[int, Any, int]]) -> set[int]:
    """The runs among rows of number, value and whether it is JSON for which an expression holds."""
    verdicts: dict[tuple[Any, int, type], bool] = {}
    found = set()
    for run, value, coded in rows:
        key = (value, coded, type(value))
        verdict = verdicts.get(key)
        if verdict is None:
            verdict = verdicts[key] = asked.holds(name, from_json(value) if coded else value)
        if verdict:
            found.add(run)
    return found


def group_time(path: str) -> int | None:
    """When a directory was last changed (ns); None if it is gone."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def settled(changed: int) -> int:
    """The time if it is long enough ago to tell a later change from it, else -1."""
    return changed if time.time_ns() - changed > RACY else -1


def settled_time(path: str) -> int:
    """When a directory was last changed if that is long enough ago to rely on, else -1."""
    return settled(group_time(path) or 0)


def folders_in(path: str) -> Iterator[tuple[bytes, int]]:
    """Name and inode of the folders, and links to folders, in a directory; hidden ones left out."""
    with os.scandir(path) as entries:
        for entry in entries:
            folder = entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))
            if folder and not entry.name.startswith("."):
                yield os.fsencode(entry.name), entry.inode()


def inode_of(path: str) -> int:
    """The number of a directory, by which another one of the same name is known; 0 if it is gone."""
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0


def stamp_of(directory: str) -> str:
    """What changes when something is added to a run; "" while that is too fresh to rely on."""
    times = times_of(directory)
    size = sum(size_on_disk(os.path.join(record, RECORDED)) for record in records_of(directory))
    return "" if settled(max(map(int, times.split(":")))) < 0 else f"{times}:{size}"


def times_of(directory: str) -> str:
    """When a run's directory and its record were last changed."""
    latest = max(group_time(record) or 0 for record in records_of(directory))
    return f"{group_time(directory) or 0}:{latest}"


def size_on_disk(path: str) -> int:
    """The size of a file in bytes; -1 if it is not there."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def is_small(root: str) -> bool:
    """Whether finding and reading all runs of a root is quick without an index."""
    from itertools import islice

    walk = Walk(root, [])
    count = sum(1 for _ in islice(walk.runs(), INDEX_FROM))
    return count + len(walk.groups) < INDEX_FROM


def read_again_later(run: Run) -> None:
    """Have the index of a run's root, if there is one, read the run again at the next question: it has a new note."""
    path = index_file(run.root)
    if not os.path.exists(path):
        return
    try:
        index = RunIndex(run.root, path)
        index.db.execute("UPDATE runs SET final = 0, stamp = '' WHERE path = ?", (index.below(run.directory),))
        index.close()
    except Exception:  # an older layout, locked, damaged: the record's time tells as well
        pass


def is_damage(error: Exception) -> bool:
    """Whether an index does not hold what was written, rather than being locked, full, or closed to us."""
    import sqlite3

    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(("Could not decode", "no such "))
    return not isinstance(error, OSError)


def forget(path: str) -> None:
    """Remove an index."""
    for end in ("", "-wal", "-shm"):
        try:
            os.unlink(path + end)
        except OSError:
            pass
