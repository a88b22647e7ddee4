"""Files that real libraries write twice: what they note about the making is no difference, what they hold is."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from footsteps.reader import measure
from footsteps.reader.making import name_without_host

FIGURE = "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as p; p.scatter([1, 2], [1, float(v)])"
EVENTS = """\
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("tb")
writer.add_scalar("loss", float(v), 1)
writer.add_hparams({"lr": float(v)}, {"a": 1.0})
writer.close()
"""
MODEL = """\
import os
os.environ.setdefault("KERAS_BACKEND", "jax")
import keras
keras.utils.set_random_seed(int(v))
keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]).save("m.keras")
"""
MADE = {  # what it needs, and how it writes a value `v` into the folder where it is started
    "svg": ("matplotlib", f"{FIGURE}; p.savefig('f.svg'); p.savefig('f.svgz')"),
    "pdf": ("matplotlib", f"{FIGURE}; p.savefig('f.pdf')"),
    "eps": ("matplotlib", f"{FIGURE}; p.savefig('f.eps')"),
    "hdf5": ("h5py", "import h5py; h5py.File('a.h5', 'w').create_dataset('x', data=[1.0, float(v)], track_times=True)"),
    "table of hdf5": ("tables", "import pandas; pandas.DataFrame({'a': [float(v)]}).to_hdf('t.h5', key='x')"),
    "table of a spreadsheet": ("openpyxl", "import pandas; pandas.DataFrame({'a': [float(v)]}).to_excel('t.xlsx')"),
    "checkpoint": ("torch", "import torch; torch.save({'w': torch.ones(3) * float(v)}, 'c.pt')"),
    "events": ("torch tensorboard", EVENTS),
    "model": ("keras", MODEL),
    "page": ("plotly", "import plotly.express as e; e.scatter(x=[1], y=[float(v)]).write_html('p.html')"),
    "packed text": ("gzip", "import gzip; gzip.open('t.csv.gz', 'wt').write(v)"),
}


def files_in(folder):
    """Each file below a folder, by its name without the time in it."""
    below = [os.path.join(top, name) for top, _, names in os.walk(folder) for name in names]
    return {name_without_host(os.path.relpath(path, folder)): path for path in below}


@pytest.mark.libraries
@pytest.mark.parametrize("kind", MADE)
def test_what_a_library_notes_about_the_making_is_no_difference(tmp_path, kind):
    """Written by two programs, one second later; another value is another file."""
    needed, program = MADE[kind]
    missing = [library for library in needed.split() if find_spec(library) is None]  # importing Keras wants its backend
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    found = []
    for number, value in enumerate(("2", "2", "3")):
        place = tmp_path / str(number)
        place.mkdir()
        late = "import sys, time; v = sys.argv[1]; time.sleep(1.1 * (v == '2'))\n"
        subprocess.run([sys.executable, "-c", late + program, value], cwd=place, check=True, capture_output=True)
        found.append(files_in(place))
    first, again, other = found
    assert first.keys() == again.keys()
    assert first
    assert {measure.measure(first[name], again[name])["verdict"] for name in first} <= {"identical", "same"}
    assert "different" in {measure.measure(first[name], other[name])["verdict"] for name in first if name in other}
