"""Libraries that open files for themselves: which of their functions are told a path, and by which argument.

A row is followed as soon as the program has imported its module; nothing is imported for it. Where a row can't be
followed, or a library is known to have no row, `not_followed` names it, and no record claims that its inputs are
complete.
"""

from __future__ import annotations

import os
import sys
from abc import ABCMeta
from types import FunctionType

from footsteps.recorder.hooks import OPENERS, around, is_wrapper, names_of, when_imported, without_ours, wrapper
from footsteps.recorder.places import files_below, is_plain, name_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType
    from typing import Any

    Row = tuple[int, str, str]
    Note = Callable[[Row, tuple[Any, ...], Mapping[str, Any]], object]

READ, WRITTEN, CHANGED, MODE = "read", "written", "changed", "mode"  # MODE: as the argument `mode` says
STARTED = "started"  # the argument is the command of another program, whose files nobody sees
WORKERS = "workers"  # the call starts a worker process anew, which may never import footsteps
QUERY = "query"  # the argument is a text that may read files by its own functions, read_csv and the like
ALL = -1  # as the position: each argument that is a file; in versions of the library that have the function
_SOURCE = (0, "source", READ)
_SCANS = ("csv", "parquet", "ipc", "ndjson", "delta")
_NETS = ("", *(f"From{name}" for name in ("Caffe", "Darknet", "ONNX", "TFLite", "Tensorflow", "Torch")))
_READS = (*_SCANS, "avro", "csv_batched", "database_uri", "excel", "ipc_schema", "ipc_stream", "json", "ods")

# Module -> function -> position of the path among the arguments (a method's own object counts), its name, how it opens.
READERS_OF_FILES: dict[str, dict[str, Row]] = {
    "cv2": {
        "imread": (0, "filename", READ),
        "imreadmulti": (0, "filename", READ),
        "imwrite": (0, "filename", WRITTEN),
        "VideoCapture": (0, "filename", READ),
        "CascadeClassifier": (ALL, "", READ),
        **{f"dnn.readNet{name}": (ALL, "", READ) for name in _NETS},
        "FileStorage": (0, "source", READ),
    },
    "datasets.load": {"load_from_disk": (0, "dataset_path", READ)},
    "dbm": {"open": (0, "file", MODE)},
    "duckdb": {
        "connect": (0, "database", CHANGED),
        "read_csv": (0, "path_or_buffer", READ),
        "read_json": (0, "path_or_buffer", READ),
        "read_parquet": (0, "file_glob", READ),
    },
    "h5py._hl.files": {"File.__init__": (1, "name", MODE)},
    "joblib.externals.loky.backend.spawn": {"get_preparation_data": (0, "name", WORKERS)},
    "loky.backend.spawn": {"get_preparation_data": (0, "name", WORKERS)},
    "multiprocessing.spawn": {"get_preparation_data": (0, "name", WORKERS)},
    "lightgbm.basic": {
        "Dataset.__init__": (1, "data", READ),
        "Booster.__init__": (3, "model_file", READ),
        "Booster.save_model": (1, "filename", WRITTEN),
    },
    "lmdb": {"open": (0, "path", CHANGED), "Environment": (0, "path", CHANGED)},
    "lxml.etree": {"parse": (0, "source", READ), "iterparse": (0, "source", READ)},
    "netCDF4": {"Dataset": (0, "filename", MODE)},
    "onnxruntime.capi.onnxruntime_inference_collection": {"InferenceSession.__init__": (1, "path_or_bytes", READ)},
    "polars": {
        "sql": (0, "query", QUERY),
        "SQLContext.execute": (1, "query", QUERY),
        **{f"read_{name}": _SOURCE for name in _READS if name not in ("csv_batched", "database_uri")},
        **{f"scan_{name}": _SOURCE for name in _SCANS},
        **{f"DataFrame.write_{name}": (1, "file", WRITTEN) for name in ("csv", "parquet", "ipc", "json", "ndjson")},
    },
    "pyarrow": {"memory_map": (0, "path", MODE), "OSFile": (0, "path", MODE), "input_stream": _SOURCE},
    "pyarrow.csv": {"read_csv": (0, "input_file", READ), "open_csv": (0, "input_file", READ)},
    "pyarrow.dataset": {"dataset": _SOURCE},
    "pyarrow.feather": {"read_feather": _SOURCE, "read_table": _SOURCE, "write_feather": (1, "dest", WRITTEN)},
    "pyarrow.ipc": {"open_file": _SOURCE, "open_stream": _SOURCE},
    "pyarrow.json": {"read_json": (0, "input_file", READ)},
    "pyarrow.orc": {"read_table": _SOURCE, "ORCFile.__init__": (1, "source", READ)},
    "pyarrow.parquet.core": {
        "read_table": _SOURCE,
        "read_metadata": (0, "where", READ),
        "ParquetFile.__init__": (1, "source", READ),
        "ParquetDataset.__init__": (1, "path_or_paths", READ),
        "ParquetWriter.__init__": (1, "where", WRITTEN),
    },
    "rasterio": {"open": (0, "fp", MODE)},
    "safetensors": {"safe_open": (0, "filename", READ), "serialize_file": (1, "filename", WRITTEN)},
    "sentencepiece": {"SentencePieceProcessor.LoadFromFile": (1, "arg", READ)},
    "SimpleITK.SimpleITK": {
        "ImageFileReader.SetFileName": (1, "fn", READ),
        "ImageSeriesReader.SetFileNames": (1, "fn", READ),
        "ImageFileWriter.SetFileName": (1, "fn", WRITTEN),
        "ReadTransform": (0, "filename", READ),
    },
    "soundfile": {"SoundFile.__init__": (1, "file", MODE)},
    "subprocess": {"Popen.__init__": (1, "args", STARTED)},
    "sqlite3.dbapi2": {"connect": (0, "database", CHANGED)},
    "tables.file": {"File.__init__": (1, "filename", MODE)},
    "tokenizers": {"Tokenizer.from_file": (0, "path", READ)},
    "torch": {"from_file": (0, "filename", READ)},
    "torch.jit._serialization": {"load": (0, "f", READ), "save": (1, "f", WRITTEN)},
    "torchvision.io.image": {"read_file": (0, "path", READ)},
    "xgboost.core": {
        "DMatrix.__init__": (1, "data", READ),
        "Booster.__init__": (3, "model_file", READ),
        "Booster.load_model": (1, "fname", READ),
        "Booster.save_model": (1, "fname", WRITTEN),
    },
}

# What opens files by ways that no row reaches: duckdb in its SQL, which looks for tables among the caller's variables.
NO_ROW = (
    "MDAnalysis", "OpenEXR", "ROOT", "annoy", "av", "catboost", "chdb", "connectorx", "ctranslate2", "cudf", "cyvcf2",
    "daft", "datafusion", "datatable", "decord", "dgl", "dlib", "duckdb", "faiss", "fasttext", "fiona", "fitsio",
    "fitz", "gmsh", "graph_tool", "hnswlib", "igraph", "itk", "kenlm", "kuzu", "lance", "llama_cpp", "mappy", "mdtraj",
    "nvidia.dali", "open3d", "openslide", "openvino", "osgeo", "pikepdf", "plyvel", "pyBigWig", "pyedflib", "pygrib",
    "pymupdf", "pyogrio", "pyreadr", "pyreadstat", "pysam", "pyspark", "pyvips", "rawpy", "rdkit", "rocksdb",
    "tensorflow", "tensorstore", "tflite_runtime", "tiledb", "torchaudio", "torchcodec", "vosk", "vtkmodules",
)  # fmt: skip

_failed: set[str] = set()  # libraries of which a row could not be followed


def follow_all(note: Note) -> None:
    """From now on call `note(row, arguments, keywords)` before each call of a row's function; it must not raise."""
    for name, rows in READERS_OF_FILES.items():
        when_imported(name, lambda module, rows=rows: follow_module(module, rows, note))  # type: ignore[misc]


def not_followed() -> list[str]:
    """The loaded libraries that may have read files without our knowledge."""
    return sorted({name for name in NO_ROW if name in sys.modules} | _failed)


def follow_module(module: ModuleType, rows: Mapping[str, Row], note: Note) -> None:
    """Follow the functions of one module."""
    stands: dict[int, Any] = {}
    library = module.__name__.partition(".")[0]
    for name, row in rows.items():
        try:
            follow_one(module, name, told_before(row, library, note), stands)
        except Exception:  # another version of it, which has no such function or lets nobody change it
            if row[2] != WRITTEN and row[0] != ALL:
                _failed.add(library)
    if stands:  # none for what has methods only
        put_everywhere(module, stands)


def told_before(row: Row, library: str, note: Note) -> Callable[[Any, Any], object]:
    """What is called with the arguments of each call: `note`; of a query, whose files only its parser knows, a look."""
    if row[2] != QUERY:
        return lambda given, named: note(row, given, named)

    def look(given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        query = argument(row, given, named)
        if isinstance(query, str) and ("read_" in query or "scan_" in query):
            _failed.add(library)

    return look


def follow_one(module: ModuleType, name: str, before: Callable[[Any, Any], object], stands: dict[int, Any]) -> None:
    """Have `before(arguments, keywords)` called with each call of a function, class or method of a module.

    What is to stand for it, unless it is a method, is added to `stands` by its id.

    Raises AttributeError or TypeError if that can't be done.
    """
    *holders, last = name.split(".")
    holder: Any = module
    for part in holders:
        holder = getattr(holder, part)
    original = getattr(holder, last)
    if is_followed(original):
        return
    if holders:
        static = isinstance(vars(holder).get(last), staticmethod)
        stand = standing_for(original, before)
        setattr(holder, last, staticmethod(stand) if static else stand)
    elif isinstance(original, FunctionType):
        stands[id(original)] = standing_for(original, before)
    elif isinstance(original, type):
        stands[id(original)] = class_standing_for(original, before)
    else:
        calling = lambda called: around(called, lambda *given, **named: before(given, named))  # noqa: E731
        stands[id(original)] = wrapper(calling, module.__name__, original)


def is_followed(function: Any) -> bool:
    """Whether one of ours stands there already."""
    return is_wrapper(function) or hasattr(function, "__footsteps_original__")


def standing_for(original: Any, before: Callable[[Any, Any], object]) -> Any:
    """A function that stands for a function or method of Python's."""
    stand = around(original, lambda *given, **named: before(given, named))
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(stand, name, getattr(original, name, None))
    stand.__dict__.update(getattr(original, "__dict__", {}))
    stand.__wrapped__ = stand.__footsteps_original__ = original
    return stand


def class_standing_for(original: Any, before: Callable[[Any, Any], object]) -> Any:
    """What stands for a class of an extension module: to be called, derived from, and asked about its objects.

    An object that it makes is one of the original.
    """

    class Kind(ABCMeta if type(original) is type else type(original)):  # type: ignore[misc]
        def __call__(self, *given: Any, **named: Any) -> Any:
            try:
                before(given, named)
                return original(*given, **named) if self is stand else super().__call__(*given, **named)
            except BaseException as error:
                error.__traceback__ = without_ours(error.__traceback__)
                raise

        def __instancecheck__(self, thing: Any) -> bool:
            return isinstance(thing, original) if self is stand else super().__instancecheck__(thing)

        def __subclasscheck__(self, other: Any) -> bool:
            return issubclass(other, original) if self is stand else super().__subclasscheck__(other)

    stand: Any
    try:
        namespace = {"__module__": original.__module__, "__doc__": original.__doc__, "__slots__": ()}
        stand = Kind(original.__name__, (original,), {**namespace, "__footsteps_original__": original})
        stand.__qualname__ = original.__qualname__
    except TypeError:  # one that nobody may derive from
        stand = Stand(original, before)
    return stand


class Stand:
    """The same for a class that nobody may derive from."""

    def __init__(self, original: Any, before: Callable[[Any, Any], object]) -> None:
        self.__footsteps_original__, self._before = original, before
        self.__wrapped__, self.__doc__ = original, original.__doc__

    def __call__(self, *given: Any, **named: Any) -> Any:  # noqa: D102 - the class's own
        try:
            self._before(given, named)
            return self.__footsteps_original__(*given, **named)
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    def __instancecheck__(self, thing: Any) -> bool:
        return isinstance(thing, self.__footsteps_original__)

    def __subclasscheck__(self, other: Any) -> bool:
        return issubclass(other, self.__footsteps_original__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__footsteps_original__, name)

    def __reduce__(self) -> str:
        return str(self.__footsteps_original__.__qualname__)


def put_everywhere(module: ModuleType, stands: Mapping[int, Any]) -> None:
    """Put them wherever a loaded module, or this one, holds the originals, under whatever name."""
    replace_in_modules(stands)
    for name in [name for name, value in names_of(module).items() if id(value) in stands]:
        setattr(module, name, stands[id(getattr(module, name))])  # a module that is not in sys.modules


def replace_in_modules(stands: Mapping[int, Any]) -> None:
    """Replace objects, by their id, in the names of all loaded modules but ours."""
    wanted = stands.keys()
    for name, module in list(sys.modules.items()):
        if name.startswith("footsteps.") or name in OPENERS:
            continue
        names = names_of(module)
        if not wanted.isdisjoint(map(id, names.values())):
            for key in [key for key, value in names.items() if id(value) in wanted]:
                module.__dict__[key] = stands[id(names[key])]


# --- which files ---


def opened_by(row: Row, given: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[list[str], str]:
    """The files that a call names, and how it opens them."""
    at, _, how = row
    value = argument(row, given, named)
    if how == MODE:
        mode = given[at + 1] if len(given) > at + 1 else named.get("mode", named.get("flag"))
        how = how_by_mode(mode if isinstance(mode, str) else "r")
    elif how == CHANGED and (named.get("readonly") or named.get("read_only")):
        how = READ
    return list(files_named(value)), how


def argument(row: Row, given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """What a call gives in the place of a row."""
    at, word, _ = row
    if at == ALL:
        return [one for one in (*given, *named.values()) if isinstance(one, str) and os.path.isfile(one)]
    return given[at] if len(given) > at else named.get(word)


def how_by_mode(mode: str) -> str:
    """What a mode such as "r", "rb", "w", "a" or "r+" does to a file."""
    if any(letter in mode for letter in "wxn"):
        return WRITTEN
    return CHANGED if any(letter in mode for letter in "a+c") else READ


def files_named(value: Any) -> Iterator[str]:
    """The local files that an argument stands for: a path, several, a pattern, or a folder with all below it."""
    if isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from files_named(one)
        return
    name = name_text(value) if is_plain(value) else ""
    if name.startswith("file:"):
        name = name[5:].partition("?")[0]
    if not name or len(name) > 4096 or "\n" in name or "://" in name or name == ":memory:":
        return
    if os.path.isdir(name):
        yield from (path for path, _ in files_below(name))
    elif any(letter in name for letter in "*?[") and not os.path.exists(name):
        import glob

        yield from filter(os.path.isfile, glob.glob(name, recursive=True))
    else:
        yield name
