import subprocess
import sys

from setuptools import setup
from setuptools.command.develop import develop
from setuptools.command.sdist import sdist


class EditableInstall(develop):
    """Older pips end here, in a command that would leave lite_tracer out: it does not know package_dir."""

    def run(self):
        subprocess.check_call([sys.executable, "-m", "pip", "install", "--use-pep517", "--no-deps", "-e", "."])


class SourceDistribution(sdist):
    """With all of the tests: by itself setuptools takes test_*.py, without their fixtures and records."""

    def make_distribution(self):
        self.filelist.graft("tests")
        self.filelist.global_exclude("*.py[co]")
        super().make_distribution()


setup(cmdclass={"develop": EditableInstall, "sdist": SourceDistribution})
