"""How does a teacher show a lesson to a class, one step a key press?

`show_lesson` runs a JupyterLab of its own on a copy of the lessons that is thrown away. Its front end (demo.js) makes
each visit a copy of the lesson, so that each visit has a machine of its own.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from labkit.course import find_lesson
from labkit.desk.folder import MARKER, lay_course
from labkit.desk.server import server_options
from labkit.errors import LabError

__all__ = ["show_lesson"]

CULL_AFTER_S, CULL_EVERY_S = 60, 10  # the machine of a page that was lost; a page that is closed ends its own
SETTINGS = {  # the teacher's own are not touched: on a projector other things are wanted than at a desk
    "apputils-extension/themes": {"adaptive-theme": True},
    "notebook-extension/tracker": {"windowingMode": "none", "codeCellConfig": {"lineNumbers": False, "lineWrap": True}},
}


def show_lesson(words: str) -> int:
    """Show the lesson whose name begins with these words, as "01", until Ctrl-C; return the server's exit status.

    The server prints the address of the page. Raises LabError where there is no such lesson, or no JupyterLab.
    """
    lesson = find_lesson(words)
    with tempfile.TemporaryDirectory(prefix="labkit-demo-") as made:
        place = Path(made)
        lay_course(place / "lessons")
        (place / "lessons" / MARKER).unlink()  # nothing of a demonstration is kept: the next visit begins anew
        for name, settings in SETTINGS.items():
            file = place / f"settings/@jupyterlab/{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        return _serve(_command(place, lesson.path.name))


def _command(place: Path, file: str) -> list[str]:
    page = {"page_config_data": {"labkitDemo": file}}  # on a command line, a dictionary is a Python literal
    command = [sys.executable, "-m", "jupyterlab"]
    command += [option for option in server_options(place / "lessons") if "default_url" not in option]
    command += [
        "--LabApp.default_url=/lab",
        f"--LabApp.user_settings_dir={place / 'settings'}",
        f"--LabApp.workspaces_dir={place / 'workspaces'}",
        f"--ServerApp.tornado_settings={page!r}",
        f"--MappingKernelManager.cull_idle_timeout={CULL_AFTER_S}",
        f"--MappingKernelManager.cull_interval={CULL_EVERY_S}",
    ]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    return command + ([] if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else ["--no-browser"])


def _serve(command: list[str]) -> int:
    """Run the server until it ends by itself or we are told to end; nothing of it is left."""
    # Before the server runs, or Ctrl-C in between would leave it behind.
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: the server would ask whether it is meant
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ends),
        )
    except OSError as error:
        raise LabError(f"JupyterLab cannot be started ({error.strerror}).") from error
    for number in ends:
        signal.signal(number, lambda *_: process.terminate())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
    return process.wait()
