"""Is everything in the package that somebody who installs it needs?"""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
LITTER = {"__pycache__", ".ipynb_checkpoints"}
KERNELSPEC = "share/jupyter/kernels/docker-lab"


def build(target: str, source: Path, place: Path) -> Path:
    """Build a wheel or an sdist out of a directory."""
    place.mkdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(place)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = place.iterdir()
    return built


def installed_files(wheel: Path) -> set[str]:
    """The files of a wheel by the places in which pip puts them, its metadata left out."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    placed = (PurePosixPath(*name.parts[2:]) if name.parts[0].endswith(".data") else name for name in names)
    return {str(name) for name in placed if not name.parts[0].endswith(".dist-info")}


def project_files(*directories: str) -> set[str]:
    """The project's own files below some directories, whatever they are."""
    files = (path for directory in directories for path in (ROOT / directory).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if not LITTER.intersection(path.parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("package") / "wheel")


def test_the_wheel_has_every_file(wheel: Path) -> None:
    """Modules, scripts, the kernelspec, JupyterLab's settings and front end, lessons arrive, and nothing else does."""
    lessons = {f"share/labkit/{name}" for name in project_files("notebooks", "docs")}
    assert project_files("labkit", "share", "etc") | lessons == installed_files(wheel)
    assert f"{KERNELSPEC}/kernel.json" in installed_files(wheel)


def test_the_sdist_is_enough_for_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the sdist has the files of the one built here."""
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", build("sdist", ROOT, tmp_path / "sdist"), "-C", tmp_path / "unpacked"], check=True)
    (source,) = (tmp_path / "unpacked").iterdir()

    assert installed_files(wheel) == installed_files(build("wheel", source, tmp_path / "wheel"))
