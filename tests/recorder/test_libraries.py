"""Libraries that open files for themselves: what they read is noted, or the record says that it may not be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

RUN = Path("results/r")
FRAME = "import pandas as p; p.DataFrame({'a': [1, 2]})"
TABLE = "import pyarrow as a; t = a.table({'a': [1, 2]}); "
ARRAY = "import numpy as n; x = n.zeros((8, 8), 'uint8'); "


def told() -> tuple[set[str], dict]:
    """The paths of the recorded inputs below the working directory, and the outcome."""
    from footsteps.reader.runs import Run

    here = f"{Path.cwd()}/"
    found = {str(entry.get("path", "")).removeprefix(here) for entry in Run(str(RUN)).inputs}
    return found, json.loads((RUN / ".footsteps" / "outcome.json").read_bytes())


def recorded(run_script, make: str, read: str, *, first: str = "") -> tuple[set[str], dict]:
    """What a run records that reads what another program has made. first: what it imports before footsteps."""
    made = run_script(make)
    assert made.returncode == 0, made.stderr
    done = run_script(f"{first}\nimport footsteps\nfootsteps.initialize('r')\n{read}\n")
    assert done.returncode == 0, done.stderr
    assert "not recorded" not in done.stderr
    return told()


# Module, a program that makes d.x, one that reads it.
SMALL = {
    "numpy.loadtxt": ("numpy", "open('d.x', 'w').write('1 2')", "import numpy as n; n.loadtxt('d.x')"),
    "numpy.genfromtxt": ("numpy", "open('d.x', 'w').write('1 2')", "import numpy as n; n.genfromtxt('d.x')"),
    "linecache": ("linecache", "open('d.x', 'w').write('1 2')", "import linecache; linecache.getline('d.x', 1)"),
    "from io import open": ("io", "open('d.x', 'w').write('1 2')", "from io import open as o; o('d.x').read()"),
    "io.FileIO": ("io", "open('d.x', 'w').write('1 2')", "import io; io.FileIO('d.x').read()"),
    "class of FileIO": ("io", "open('d.x', 'w').write('')", "import io\nclass F(io.FileIO): pass\nF('d.x').read()"),
    "dir_fd": (
        "os",
        "open('d.x', 'w').write('1 2')",
        "import os; d = os.open('.', os.O_RDONLY); os.open('d.x', os.O_RDONLY, dir_fd=d)",
    ),
    "sqlite3": (
        "sqlite3",
        "import sqlite3; c = sqlite3.connect('d.x'); c.execute('create table t (a)'); c.commit()",
        "import sqlite3; sqlite3.connect('file:d.x?mode=ro', uri=True).execute('select * from t')",
    ),
}
HEAVY = {
    "h5py": ("h5py", "import h5py; h5py.File('d.x', 'w').close()", "import h5py; h5py.File('d.x', 'r')"),
    "pandas.read_parquet": ("pyarrow", FRAME + ".to_parquet('d.x')", "import pandas as p; p.read_parquet('d.x')"),
    "pandas.read_feather": ("pyarrow", FRAME + ".to_feather('d.x')", "import pandas as p; p.read_feather('d.x')"),
    "pandas.read_csv": ("pandas", FRAME + ".to_csv('d.x')", "import pandas as p; p.read_csv('d.x')"),
    "pandas.read_csv by pyarrow": (
        "pyarrow",
        FRAME + ".to_csv('d.x')",
        "import pandas as p; p.read_csv('d.x', engine='pyarrow')",
    ),
    "pandas.read_hdf": ("tables", FRAME + ".to_hdf('d.x', key='a')", "import pandas as p; p.read_hdf('d.x')"),
    "pyarrow.parquet": (
        "pyarrow",
        TABLE + "import pyarrow.parquet as q; q.write_table(t, 'd.x')",
        "import pyarrow.parquet as q; q.read_table('d.x')",
    ),
    "pyarrow.ParquetFile": (
        "pyarrow",
        TABLE + "import pyarrow.parquet as q; q.write_table(t, 'd.x')",
        "import pyarrow.parquet as q; q.ParquetFile('d.x').read()",
    ),
    "pyarrow.dataset": (
        "pyarrow",
        TABLE + "import pyarrow.parquet as q; q.write_table(t, 'd.x')",
        "import pyarrow.dataset as d; d.dataset('d.x').to_table()",
    ),
    "pyarrow.feather": (
        "pyarrow",
        TABLE + "import pyarrow.feather as q; q.write_feather(t, 'd.x')",
        "import pyarrow.feather as q; q.read_table('d.x')",
    ),
    "pyarrow.csv": ("pyarrow", "open('d.x', 'w').write('a\\n1\\n')", "import pyarrow.csv as q; q.read_csv('d.x')"),
    "pyarrow.json": ("pyarrow", "open('d.x', 'w').write('{}')", "import pyarrow.json as q; q.read_json('d.x')"),
    "pyarrow.orc": (
        "pyarrow",
        TABLE + "import pyarrow.orc as q; q.write_table(t, 'd.x')",
        "import pyarrow.orc as q; q.read_table('d.x')",
    ),
    "pyarrow.memory_map": ("pyarrow", "open('d.x', 'w').write('a')", "import pyarrow as a; a.memory_map('d.x')"),
    "polars.read_csv": ("polars", "open('d.x', 'w').write('a\\n1\\n')", "import polars as p; p.read_csv('d.x')"),
    "polars.scan": ("polars", "open('d.x', 'w').write('a\\n1\\n')", "import polars as p; p.scan_csv('*.x').collect()"),
    "polars.read_parquet": (
        "polars",
        "import polars as p; p.DataFrame({'a': [1]}).write_parquet('d.x')",
        "from polars import read_parquet; read_parquet('d.x')",
    ),
    "lmdb": (
        "lmdb",
        "import lmdb\nwith lmdb.open('d.x', subdir=False).begin(write=True) as t: t.put(b'a', b'b')",
        "import lmdb; e = lmdb.open('d.x', subdir=False, readonly=True); assert isinstance(e, lmdb.Environment)",
    ),
    "safetensors.numpy": (
        "safetensors",
        "import numpy as n, safetensors.numpy as s; s.save_file({'a': n.ones(2)}, 'd.x')",
        "import safetensors.numpy as s; s.load_file('d.x')",
    ),
    "safetensors.safe_open": (
        "safetensors",
        "import numpy as n, safetensors.numpy as s; s.save_file({'a': n.ones(2)}, 'd.x')",
        "from safetensors import safe_open\nwith safe_open('d.x', 'np') as f: f.get_tensor('a')",
    ),
    "cv2.imread": (
        "cv2",
        ARRAY + "import cv2; cv2.imwrite('d.png', x); import os; os.rename('d.png', 'd.x')",
        "import cv2; assert cv2.imread('d.x') is not None",
    ),
    "SimpleITK": (
        "SimpleITK",
        ARRAY + "import SimpleITK as s, os; s.WriteImage(s.GetImageFromArray(x), 'd.nrrd'); os.rename('d.nrrd', 'd.x')",
        "import SimpleITK as s; s.ReadImage('d.x', imageIO='NrrdImageIO')",
    ),
    "rasterio": (
        "rasterio",
        ARRAY + "import rasterio as r\n"
        "with r.open('d.x', 'w', driver='GTiff', width=8, height=8, count=1, dtype='uint8') as f: f.write(x, 1)",
        "import rasterio as r; r.open('d.x').read()",
    ),
    "soundfile": (
        "soundfile",
        ARRAY + "import soundfile as s; s.write('d.x', n.zeros(99), 8000, format='WAV')",
        "import soundfile as s; s.read('d.x')",
    ),
    "lightgbm": (
        "lightgbm",
        "open('d.x', 'w').write('1,2\\n' * 99)",
        "import lightgbm as l; l.Dataset('d.x', params={'verbose': -1}).construct()",
    ),
    "lxml": ("lxml", "open('d.x', 'w').write('<a/>')", "from lxml import etree; etree.parse('d.x')"),
    "netCDF4": (
        "netCDF4",
        "import netCDF4 as c; c.Dataset('d.x', 'w').close()",
        "import netCDF4 as c; d = c.Dataset('d.x'); assert isinstance(d, c.Dataset)",
    ),
    "tables": (
        "tables",
        "import tables as t; t.open_file('d.x', 'w').close()",
        "import tables; tables.open_file('d.x')",
    ),
    "xgboost": (
        "xgboost",
        ARRAY + "import xgboost as g; b = g.train({}, g.DMatrix(x, x[0]), 1); b.save_model('d.json')\n"
        "import os; os.rename('d.json', 'd.x')",
        "import xgboost as g; g.Booster(model_file=bytearray(open('d.x', 'rb').read()))",
    ),
    "torch.from_file": (
        "torch",
        "open('d.x', 'wb').write(bytes(8))",
        "import torch; torch.from_file('d.x', size=8, dtype=torch.uint8)",
    ),
    "torch.jit.load": (
        "torch",
        "import torch; torch.jit.save(torch.jit.script(torch.nn.Identity()), 'd.x')",
        "import torch; torch.jit.load('d.x')",
    ),
    "tokenizers": (
        "tokenizers",
        "from tokenizers import Tokenizer, models; Tokenizer(models.BPE()).save('d.x')",
        "from tokenizers import Tokenizer; Tokenizer.from_file('d.x')",
    ),
}

PNG = "import PIL.Image as i; i.new('L', (8, 8)).save('d.x', format='png')"
TEXT, BYTES = "open('d.x', 'w').write('{}')", "open('d.x', 'wb').write(bytes(800))"
# The same of libraries that open by Python's own open, in one way or another.
EVERYDAY = {
    "open": ("io", TEXT, "open('d.x').read()"),
    "pathlib": ("pathlib", TEXT, "import pathlib; pathlib.Path('d.x').read_text()"),
    "codecs": ("codecs", TEXT, "import codecs; codecs.open('d.x', encoding='utf-8').read()"),
    "fileinput": ("fileinput", TEXT, "import fileinput; list(fileinput.input('d.x'))"),
    "os.open": ("os", TEXT, "import os; os.read(os.open('d.x', os.O_RDONLY), 2)"),
    "mmap": ("mmap", TEXT, "import mmap; f = open('d.x'); mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)"),
    "configparser": (
        "configparser",
        "open('d.x', 'w')",
        "import configparser; configparser.ConfigParser().read('d.x')",
    ),
    "gzip": ("gzip", "import gzip; gzip.open('d.x', 'w').close()", "import gzip; gzip.open('d.x').read()"),
    "bz2": ("bz2", "import bz2; bz2.open('d.x', 'w').close()", "import bz2; bz2.open('d.x').read()"),
    "lzma": ("lzma", "import lzma; lzma.open('d.x', 'w').close()", "import lzma; lzma.open('d.x').read()"),
    "zipfile": (
        "zipfile",
        "import zipfile; zipfile.ZipFile('d.x', 'w').close()",
        "import zipfile; zipfile.ZipFile('d.x')",
    ),
    "tarfile": ("tarfile", "import tarfile; tarfile.open('d.x', 'w').close()", "import tarfile; tarfile.open('d.x')"),
    "xml": ("xml.etree", "open('d.x', 'w').write('<a/>')", "import xml.etree.ElementTree as e; e.parse('d.x')"),
    "wave": (
        "wave",
        "import wave; w = wave.open('d.x', 'wb'); w.setparams((1, 2, 8000, 0, 'NONE', '')); w.close()",
        "import wave; wave.open('d.x')",
    ),
    "numpy.load": (
        "numpy",
        "import numpy as n; n.save(open('d.x', 'wb'), n.ones(2))",
        "import numpy as n; n.load('d.x', mmap_mode='r')",
    ),
    "numpy.fromfile": ("numpy", BYTES, "import numpy as n; n.fromfile('d.x')"),
    "numpy.memmap": ("numpy", BYTES, "import numpy as n; n.memmap('d.x', mode='r')"),
    "pandas.read_json": ("pandas", TEXT, "import pandas as p; p.read_json('d.x')"),
    "pandas.read_pickle": ("pandas", FRAME + ".to_pickle('d.x')", "import pandas as p; p.read_pickle('d.x')"),
    "pandas.read_excel": (
        "openpyxl",
        FRAME + ".to_excel(open('d.x', 'wb'), engine='openpyxl')",
        "import pandas as p; p.read_excel('d.x', engine='openpyxl')",
    ),
    "scipy.io": (
        "scipy",
        "import scipy.io; scipy.io.savemat('d.x', {'a': 1}, appendmat=False)",
        "import scipy.io; scipy.io.loadmat('d.x', appendmat=False)",
    ),
    "PIL": (
        "PIL",
        PNG,
        "import PIL.Image as i; i.open('d.x').load()",
    ),
    "matplotlib": (
        "matplotlib",
        PNG,
        "import matplotlib.pyplot as p; p.imread('d.x', format='png')",
    ),
    "imageio": (
        "imageio",
        PNG,
        "import imageio.v3 as i; i.imread('d.x', plugin='pillow')",
    ),
    "joblib": ("joblib", "import joblib; joblib.dump(1, 'd.x')", "import joblib; joblib.load('d.x')"),
    "yaml": ("yaml", TEXT, "import yaml; yaml.safe_load(open('d.x'))"),
    "astropy": (
        "astropy",
        ARRAY + "from astropy.io import fits; fits.PrimaryHDU(x).writeto(open('d.x', 'wb'))",
        "from astropy.io import fits; fits.open('d.x')[0].data",
    ),
    "torch.load": ("torch", "import torch; torch.save([1], 'd.x')", "import torch; torch.load('d.x')"),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("early", [False, True], ids=["after us", "before us"])
def test_what_python_and_numpy_open_by_other_ways_is_noted(run_script, name, early):
    """Whether the library was imported before footsteps or after, and whoever had captured open."""
    library, make, read = SMALL[name]
    pytest.importorskip(library)
    found, outcome = recorded(run_script, make, read, first=f"import {library}" if early else "")
    assert "d.x" in found
    assert (outcome["inputs_complete"], outcome["inputs_not_followed"]) == (True, [])


@pytest.mark.libraries
@pytest.mark.parametrize("early", [False, True], ids=["after us", "before us"])
@pytest.mark.parametrize("name", [*HEAVY, *EVERYDAY])
def test_what_a_library_opens_for_itself_is_noted(run_script, name, early):
    """Each way to read data, with the library itself; and the record claims to be complete."""
    library, make, read = {**HEAVY, **EVERYDAY}[name]
    pytest.importorskip(library)
    found, outcome = recorded(run_script, make, read, first=f"import {library}" if early else "")
    assert "d.x" in found
    assert (outcome["inputs_complete"], outcome["inputs_not_followed"]) == (True, [])


@pytest.mark.libraries
def test_a_dataset_loaded_from_disk_is_noted(run_script):
    """Each file of its folder."""
    pytest.importorskip("datasets")
    make = "import datasets as d; d.Dataset.from_dict({'a': [1]}).save_to_disk('d.x')"
    found, _ = recorded(run_script, make, "import datasets as d; d.load_from_disk('d.x')")
    assert any(path.startswith("d.x/") and path.endswith(".arrow") for path in found)
    assert any(path == "d.x/dataset_info.json" for path in found)


@pytest.mark.libraries
def test_a_library_that_can_not_be_followed_is_named(run_script):
    """duckdb reads the files that its SQL names: no record says that these are all."""
    pytest.importorskip("duckdb")
    read = (
        "import duckdb; x = [1]; duckdb.sql(\"select * from 'd.csv'\").fetchall(); duckdb.read_csv('e.csv').fetchall()"
    )
    found, outcome = recorded(run_script, "for n in 'de': open(n + '.csv', 'w').write('a,b\\n1,2\\n')", read)
    assert "e.csv" in found
    assert (outcome["inputs_complete"], outcome["inputs_not_followed"]) == (False, ["duckdb"])


@pytest.mark.libraries
def test_files_in_a_query_of_polars_make_the_record_incomplete(run_script):
    """Its SQL has functions that read; a query of tables in memory has none."""
    pytest.importorskip("polars")
    for query, complete in (("select * from read_csv('d.csv')", False), ("select * from t", True)):
        read = f"import polars as p\nt = p.DataFrame({{'a': [1]}})\np.sql({query!r}).collect()"
        _, outcome = recorded(
            run_script, "import shutil; shutil.rmtree('results', True); open('d.csv', 'w').write('a\\n1')", read
        )
        assert outcome["inputs_complete"] is complete


@pytest.mark.libraries
def test_a_network_that_opencv_reads_is_noted(run_script):
    """Whatever becomes of it."""
    pytest.importorskip("cv2")
    read = "import cv2\ntry: cv2.dnn.readNetFromONNX('d.x')\nexcept cv2.error: pass"
    found, _ = recorded(run_script, "open('d.x', 'w').write('x')", read)
    assert "d.x" in found


def test_a_library_with_other_functions_than_ours_is_named(run_script, tmp_path):
    """A version that has no such function: what it reads may be missed, and that is told; it works as ever."""
    (tmp_path / "soundfile.py").write_text("def read(name): return open(name).read()\n")
    found, outcome = recorded(run_script, "open('d.x', 'w')", "import soundfile; soundfile.read('d.x')")
    assert "d.x" in found
    assert (outcome["inputs_complete"], outcome["inputs_not_followed"]) == (False, ["soundfile"])


def test_what_a_worker_can_not_follow_is_named_too(run_script, tmp_path):
    """The library is loaded in another process than the one that tells the outcome."""
    (tmp_path / "soundfile.py").write_text("def read(name): return open(name).read()\n")
    read = """
def work(name):
    import soundfile
    return soundfile.read(name)
import multiprocessing
with multiprocessing.get_context("fork").Pool(1) as pool:
    pool.map(work, ["d.x"])
    pool.close(); pool.join()
"""
    found, outcome = recorded(run_script, "open('d.x', 'w')", read)
    assert "d.x" in found
    assert (outcome["inputs_complete"], outcome["inputs_not_followed"]) == (False, ["soundfile"])


def test_a_file_by_a_name_that_is_relative_keeps_that_name(run_script, tmp_path):
    """A rerun elsewhere can tell that it led out of the tree."""
    (tmp_path / "x.csv").write_text("1")
    (tmp_path / "project").mkdir()
    program = "import footsteps, os\nfootsteps.initialize('r')\nopen('../x.csv').read()\nopen(__file__).read()\n"
    (tmp_path / "project" / "t.py").write_text(program)
    done = run_script(tmp_path / "project" / "t.py", cwd=tmp_path / "project")
    assert done.returncode == 0, done.stderr
    from footsteps.reader.runs import Run

    assert [(e["path"], e["given"]) for e in Run(str(tmp_path / "project" / RUN)).inputs] == [
        (str(tmp_path / "x.csv"), "../x.csv")
    ]


def test_a_database_that_was_only_asked_was_not_written(run_script):
    """sqlite3 opens each to write; what is the same at the end was none of the program's outputs."""
    make = "import sqlite3\nfor n in 'ab': c = sqlite3.connect(n); c.execute('create table t (a)'); c.commit()"
    read = (
        "import sqlite3; sqlite3.connect('a').execute('select * from t')\n"
        "c = sqlite3.connect('b'); c.execute('insert into t values (1)'); c.commit()"
    )
    found, outcome = recorded(run_script, make, read)
    assert found >= {"a", "b"}
    assert [Path(path).name for path in outcome["written_elsewhere"]] == ["b"]


def test_a_library_is_as_it_was_to_whoever_looks(run_script, tmp_path):
    """Names, signatures, pickles, subclasses, errors and instances of what is followed."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "__init__.py").write_text("from tables.file import File\n")
    source = "class File:\n    '''Doc'''\n    def __init__(self, filename, mode='r', *, x=1): self.name = filename\n"
    (tmp_path / "tables" / "file.py").write_text(source)
    program = """
import inspect, io, pickle, sqlite3
connect, FileIO = (sqlite3.connect,), (io.FileIO,)
import footsteps, tables.file
assert str(inspect.signature(tables.File)) == "(filename, mode='r', *, x=1)"
assert pickle.loads(pickle.dumps(tables.File)) is tables.File and pickle.loads(pickle.dumps(sqlite3.connect))
assert type(tables.File("x")) is tables.File and tables.File.__doc__ == "Doc"
assert io.FileIO.__name__ == "FileIO" and issubclass(io.FileIO, io.RawIOBase) and issubclass(FileIO[0], io.FileIO)
assert isinstance(open(__file__, "rb", 0), io.FileIO) and type(io.FileIO(__file__)) is FileIO[0]
class Own(io.FileIO): pass
assert isinstance(Own(__file__), Own) and not isinstance(io.FileIO(__file__), Own)
class Abstract(io.FileIO, io.RawIOBase): pass
class Holder: connect = sqlite3.connect
Holder().connect(":memory:").close()
for call in (lambda: sqlite3.connect(), lambda: tables.File(), lambda: io.FileIO("nothing")):
    try: call()
    except (TypeError, OSError) as error: print(type(error).__name__, error.__traceback__.tb_next.tb_next)
"""
    done = run_script(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["TypeError", "TypeError", "FileNotFoundError"]
    if sys.version_info >= (3, 11):  # 3.10 shows the wrapper's frame
        assert done.stdout.count(" None\n") == 3
