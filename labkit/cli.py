"""What can be done from a terminal?

labkit doctor [--json]                     what this host can do, and the cure for what it cannot
labkit run [--machine KIND] -- CMD ...     boot a machine, run CMD in it, pass its exit status on
labkit shell [--machine KIND]              the same with a shell on this terminal
labkit attach [--wait] [LESSON]            a root shell on the machine of a lesson that is open
labkit lab [DIR]                           lay the lessons in your own folder, and open them in JupyterLab
labkit lab --again LESSON [DIR]            begin one lesson anew; your copy is kept beside it
labkit demo LESSON                         show a lesson to a class, one step a key press
labkit layers FILE|IMAGE [--json]          what each layer of an image does, and what is wasted
labkit progress [DIR ...] [--json]         what was done in the lessons: one learner, or a class, a folder each
"""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.machine import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.images.layers import Analysis

__all__ = ["main"]


def main(arguments: list[str] | None = None, *, client: int | None = None) -> int:
    """Run one of the commands; return the exit status, 125 where the lab itself failed.

    `client` is the process that started this one, or else its parent now: a machine ends with it.
    """
    client = os.getppid() if client is None else client
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        if options.verb == "doctor":
            return _doctor(options.json)
        if options.verb == "lab":
            return _lab(options)
        if options.verb == "demo":
            from labkit.desk.demo import show_lesson

            return show_lesson(options.lesson)
        if options.verb == "attach":
            from labkit.machine.outside.visit import visit

            return visit(options.lesson, wait=options.wait)
        if options.verb == "layers":
            return _layers(options, is_program=arguments is None)
        if options.verb == "progress":
            return _progress(options.folders or [_own_folder()], options.json)
        from labkit.machine.doctor import choose_kind, require

        kind = choose_kind(options.machine)
        require(kind)
        from labkit.machine.outside.attach import (
            run_command,  # only now: it needs a Unix, and the doctor says so better
        )

        if options.verb == "shell":
            return run_command(["bash", "-l"], kind=kind, client=client, terminal=True)
        return run_command(options.command, kind=kind, client=client)
    except LabError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 125
    except MemoryError:
        pass  # what has filled the memory is held by the error's traceback, and goes with it
    except BrokenPipeError:  # the reader of our output has gone, as in `labkit run ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    print(f"labkit: {_short_of_memory(options)}", file=sys.stderr)
    return 125


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labkit", description="Lab machines from a terminal.")
    verbs = parser.add_subparsers(dest="verb", prog="labkit")  # else it writes a usage, and loads shutil for that
    doctor = verbs.add_parser("doctor", help="what this host can do, and the cure for what it cannot")
    doctor.add_argument("--json", action="store_true", help="for programs")
    lab = verbs.add_parser("lab", help="lay the lessons in a folder of yours, and open them in JupyterLab")
    lab.add_argument("folder", nargs="?", type=_path, metavar="DIR", help="default: $LABKIT_DESK, or ~/docker-lab")
    lab.add_argument("--again", metavar="LESSON", help="begin this lesson anew, as 01; your copy is kept beside it")
    lab.add_argument("--no-open", action="store_true", help="lay the lessons, and do not start JupyterLab")
    demo = verbs.add_parser("demo", help="show a lesson to a class, one step a key press; Ctrl-C ends it")
    demo.add_argument("lesson", metavar="LESSON", help="how its name begins, as 01")
    layers = verbs.add_parser("layers", help="what each layer of an image does, and what is wasted")
    layers.add_argument("image", metavar="FILE|IMAGE", help="an archive, an OCI directory, - or an image of the engine")
    layers.add_argument("--json", action="store_true", help="for programs; docs/layers.md describes it")
    layers.add_argument("--name", help="which image, where the archive holds several")
    layers.add_argument("--no-digests", action="store_true", help="do not compute the digests of the layers")
    layers.add_argument("--max-wasted", type=_size, metavar="SIZE", help="exit with 1 where more is wasted, as 20MB")
    layers.add_argument("--min-efficiency", type=float, metavar="SHARE", help="exit with 1 where it is lower, as 0.9")
    progress = verbs.add_parser("progress", help="what was done in the lessons; nothing leaves this computer")
    progress.add_argument("folders", nargs="*", type=_path, metavar="DIR", help="a learner's folder; default: your own")
    progress.add_argument("--json", action="store_true", help="for programs")
    attach = verbs.add_parser("attach", help="open a root shell on the machine of a lesson that is open")
    attach.add_argument("lesson", nargs="?", default="", metavar="LESSON", help="how its name begins, as 01")
    attach.add_argument(
        "--wait", action="store_true", help="until a lesson is open, and again when its machine has ended"
    )
    run = verbs.add_parser("run", help="boot a machine and run a command in it as root")
    shell = verbs.add_parser("shell", help="boot a machine and open a root shell in it")
    for verb in (run, shell):
        verb.add_argument("--machine", choices=(*KINDS, "auto"), help="default: $LABKIT_MACHINE, or auto")
    run.add_argument("command", nargs="+", metavar="CMD", help="after `--`: the command and its arguments")
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help()
        parser.exit()
    if options.verb in ("shell", "attach") and not sys.stdin.isatty():
        parser.error(f"{options.verb} needs a terminal; use `labkit run -- CMD`")
    return options


def _lab(options: argparse.Namespace) -> int:
    from labkit.desk.folder import begin_again, lay_course
    from labkit.desk.server import open_lab

    folder = (options.folder or _own_folder()).absolute()
    if options.again:
        name, kept = begin_again(folder, options.again)
        print(f"{folder / name} is as it was at the beginning" + (f"; your copy is {kept}" if kept else ""))
        return 0
    laid = lay_course(folder)
    print(f"your lessons are in {folder}", laid, sep="\n" if str(laid) else "", flush=True)
    if options.no_open:
        return 0
    open_lab(folder)


def _own_folder() -> "Path":
    from pathlib import Path

    return Path(os.environ.get("LABKIT_DESK") or Path.home() / "docker-lab")


def _progress(folders: "list[Path]", as_json: bool) -> int:
    """Show what is kept in learners' folders; 1 where one of them has nothing to show."""
    from labkit.progress import read_learner
    from labkit.show.progress import progress_text

    learners, status = {}, 0
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        try:
            learners[name if names.count(name) == 1 else str(folder)] = read_learner(folder)
        except LabError as error:
            print(f"labkit: {error}", file=sys.stderr)
            status = 1
    if learners:
        print(json.dumps(learners, indent=2) if as_json else progress_text(learners))
    return status


def _layers(options: argparse.Namespace, *, is_program: bool) -> int:
    """Report on an image; 1 where it is worse than asked for. A program ends with it, and does nothing else."""
    import gc

    from labkit.show.layers import layers_json, layers_text, size_text
    from labkit.terminal import columns, exit_at_once, exit_on_interrupt

    if is_program:
        exit_on_interrupt()
    gc.disable()  # 100,000 small values are made, all are kept, and none is in a cycle: a fifth of the time
    found = _analyse(options)
    if options.json:
        print(json.dumps(layers_json(found), indent=2))
    else:
        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(layers_text(found, columns=columns(sys.stdout), is_utf8=is_utf8))
    missed = []
    if options.max_wasted is not None and found.wasted_bytes > options.max_wasted:
        wasted = f"{size_text(found.wasted_bytes)} ({found.wasted_bytes:,} bytes)"
        missed.append(f"{wasted} are wasted, more than {options.max_wasted:,} bytes")
    if options.min_efficiency is not None and found.efficiency < options.min_efficiency:
        missed.append(f"the efficiency is {found.efficiency:.4f}, less than {options.min_efficiency}")
    if missed:
        print(f"labkit: {'; '.join(missed)}", file=sys.stderr)
    if is_program:
        exit_at_once(1 if missed else 0)  # to free 100,000 values takes a twentieth of the time
    return 1 if missed else 0


def _analyse(options: argparse.Namespace) -> "Analysis":
    from labkit.errors import EngineUnreachable, ImageError
    from labkit.images.archives import analyse_file
    from labkit.images.paths import printable
    from labkit.terminal import Progress

    progress, image = Progress(), options.image
    try:
        if image == "-" or os.path.lexists(image):
            digests = not options.no_digests
            return analyse_file(image, name=options.name, digests=digests, progress=progress)
        from labkit.api.engine import Engine
        from labkit.images.live import analyse_image

        with Engine() as engine:
            return analyse_image(engine, image, progress=progress)
    except OSError as error:
        raise ImageError(printable(image), error.strerror or str(error)) from None
    except EngineUnreachable as error:
        raise ImageError(
            printable(image), f"there is no such file, and no engine to ask for an image: {error}"
        ) from None
    finally:
        progress.clear()


def _short_of_memory(options: argparse.Namespace) -> str:
    if options.verb != "layers":
        return "there is not enough memory"
    from labkit.images.paths import printable

    return f"{printable(options.image)}: more is in it than there is memory for"


def _path(text: str) -> "Path":
    from pathlib import Path  # only now: its import is a hundredth of what `labkit layers` takes

    return Path(text)


def _size(text: str) -> int:
    from labkit.show.layers import read_size

    try:
        return read_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _doctor(as_json: bool) -> int:
    from labkit.machine.doctor import examine

    report = examine()
    print(json.dumps(report, indent=2) if as_json else _describe(report))
    # With a kind named in LABKIT_MACHINE, what others can do is no help.
    if os.environ.get("LABKIT_MACHINE") not in (None, "", "auto"):
        possible = bool(report["machine"])
    else:
        possible = any(kind["ok"] for kind in report["kinds"].values())
    return (2 if report["host"] else 0) if possible else 1


def _describe(report: dict[str, Any]) -> str:
    lines = []
    for kind, found in report["kinds"].items():
        chosen = "  <- used here" if kind == report["machine"] else ""
        lines.append(f"{kind:8}{'ok' if found['ok'] else 'not possible'}{chosen}")
        lines += _describe_problems(found["problems"])
        if kind == "uml" and report["kernel"]:
            lines += _describe_kernel(report["kernel"])
    if engine := report["engine"]:
        store = {"containerd": "images kept with containerd", "graphdriver": "images kept by a graph driver (overlay2)"}
        words = f"Docker {engine['version']} ({engine['program']}), {store.get(engine['image_store'], '')}"
        lines.append(f"engine  {words}")
    if report["host"]:
        lines += ["host", *_describe_problems(report["host"])]
    return "\n".join(lines)


def _describe_kernel(kernel: dict[str, Any]) -> list[str]:
    whose = "the lab's own kernel" if kernel["own"] else "the kernel"
    said = [f"        {whose}, Linux {kernel['release']}, runs processes {kernel['processes']} ({kernel['program']})"]
    return said + [f"          -> {kernel['quicker']}"] * bool(kernel["quicker"])


def _describe_problems(problems: list[dict[str, str]]) -> list[str]:
    return [f"        {problem['found']}\n          -> {problem['cure']}" for problem in problems]


if __name__ == "__main__":
    sys.exit(main())
