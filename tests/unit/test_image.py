"""Do the files of the image agree with the rest of the project, and ask for no privilege?"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from labkit.desk.home import PAGE

ROOT = Path(__file__).resolve().parents[2]


def read_constraints() -> dict[str, str]:
    lines = (ROOT / "binder/constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pins}


def test_the_pinned_versions_are_wanted_ones() -> None:
    """Each package that labkit depends on is pinned for the image, within its bounds; so is what a hub starts."""
    pinned = read_constraints()

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for requirement in map(Requirement, [*wanted, "jupyterhub>=5,<6", "notebook>=7"]):
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement


def test_the_base_has_a_tag_and_the_user_a_number() -> None:
    """Binder refuses a base without a tag, and an image whose user is not known by number to be no root."""
    lines = (ROOT / "binder/Dockerfile").read_text().splitlines()

    stages = [line for line in lines if line.startswith("FROM")]
    assert ["FROM debian:trixie-slim AS kernel", "FROM debian:trixie-slim"] == stages
    assert "USER ${NB_UID}" == [line for line in lines if line.startswith("USER")][-1]
    assert "ARG NB_UID=1000" in lines


def test_the_stage_of_the_kernel_has_what_its_builder_imports(tmp_path: Path) -> None:
    """Few files are copied there, so that another change does not have the kernel built anew; and none too few."""
    dockerfile = (ROOT / "binder/Dockerfile").read_text().replace("\\\n", "")
    for words in (line.split()[1:] for line in dockerfile.splitlines() if line.startswith("COPY")):
        if words[-1].startswith("/lab/"):
            target = tmp_path / words[-1].removeprefix("/lab/")
            target.mkdir(parents=True)
            for name in words[:-1]:
                shutil.copy(ROOT / name, target)

    command = [sys.executable, "-I", "-c", "import runpy; runpy.run_path('tools/kernel.py')"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_start_passes_the_command_on(tmp_path: Path) -> None:
    """What a hub starts is run in place of the script, in the learner's folder; a home is found if need be."""
    for home, kept in ((str(tmp_path), True), ("/nowhere", False)):
        words = 'echo "$HOME"; pwd; echo "$1"; test -w "$HOME" -a -f .docker-lab.json -a -f home.md'
        command = [str(ROOT / "binder/start"), "sh", "-c", words, "sh", "two words"]
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        done = subprocess.run(command, env={"HOME": home, "PATH": path}, capture_output=True, text=True)
        where, folder, said = done.stdout.splitlines()

        assert (0, "two words", kept) == (done.returncode, said, where == home)
        assert f"{where}/docker-lab" == folder
        if not kept:
            shutil.rmtree(where)


def test_settings_are_json_and_open_the_home_page() -> None:
    """Both files of settings can be read; JupyterLab opens on the home page of the learner's folder."""
    json.loads((ROOT / "binder/overrides.json").read_text())
    settings = json.loads((ROOT / "binder/jupyter_server_config.json").read_text())

    opened = settings["LabApp"]["default_url"]
    assert f"/lab/tree/{PAGE}" == opened
    assert f"?urlpath={opened.removeprefix('/')})" in (ROOT / "README.md").read_text()  # and so does the badge


def test_the_devcontainer_is_the_same_image_without_privilege() -> None:
    """It builds Binder's Dockerfile, and asks for no option by which a container gets more."""
    path = ROOT / ".devcontainer/devcontainer.json"
    container = json.loads(path.read_text())

    assert ROOT / "binder/Dockerfile" == (path.parent / container["build"]["dockerfile"]).resolve()
    assert ROOT == (path.parent / container["build"]["context"]).resolve()
    assert not re.findall("privileged|capAdd|securityOpt|runArgs|features|mounts", path.read_text())
