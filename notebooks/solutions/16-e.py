# Hint: `box.json` and `log` have all that `ps` and `logs` print. A container runs as long as its process does: compare
#   `began(pid)` with what `box.json` says, as another process may have got the number.
# Hint: `stop` sends SIGTERM, waits, and sends SIGKILL. `rm` removes the directory of a container that has ended.
# Hint: `exec` puts itself into the groups, calls `setns(pidfd_open(pid), NAMESPACES)`, and forks: the child is in the PID
#   namespace. The child goes to `/`, and becomes the program with `execute`.

%%part E
def is_running(box):
    """Is its first process there? Another process may have got its number: it began at another time."""
    return "pid" in box and box["status"] is None and began(box["pid"]) == box["began"]


def do_ps(words):
    """One line for each container, with its exit status when it has ended."""
    for place in sorted((ROOT / "containers").glob("*/box.json")):
        box = json.loads(place.read_text())
        state = "running" if is_running(box) else f"exited ({box.get('status', 'never began')})"
        print(f"{box['name']}  {state}  {box['image']}  {box.get('address', '')}")


def do_logs(words):
    """What the program has written so far."""
    read_json(box_file(words.name), f"container {words.name}")
    sys.stdout.write(box_file(words.name).with_name("log").read_text(errors="replace"))


def do_stop(words):
    """Ask it to end, and end it when it does not. The process that looks after it writes the status down."""
    box = read_json(box_file(words.name), f"container {words.name}")
    for number, patience_s in ((signal.SIGTERM, words.time), (signal.SIGKILL, 10)):
        if not is_running(box):
            break
        os.kill(box["pid"], number)
        deadline = time.monotonic() + patience_s
        while box["status"] is None and time.monotonic() < deadline:
            time.sleep(0.02)
            box = read_json(box_file(words.name), f"container {words.name}")
    print(words.name)


def do_rm(words):
    """Forget a container that has ended, with all that it has written."""
    box = read_json(box_file(words.name), f"container {words.name}")
    if is_running(box):
        sys.exit(f"mydocker: {words.name} is running: stop it first")
    if box.get("status") is None:  # who looked after it was killed, and nobody has done this
        for step in AFTER:
            step(box)
    shutil.rmtree(box_file(words.name).parent)
    print(words.name)


def do_exec(words):
    """Run one more program in a container: join its groups and its namespaces, and become the program."""
    box = read_json(box_file(words.name), f"container {words.name}")
    if not is_running(box):
        sys.exit(f"mydocker: {words.name} is not running")
    limit(box, os.getpid())
    setns(pidfd_open(box["pid"]), NAMESPACES)
    pid = os.fork()  # who calls setns stays in its own PID namespace: its children are in the other one
    if pid == 0:
        try:
            os.chdir(box["cwd"])
            execute(box, words.command)
        except OSError as error:
            os.write(2, f"mydocker: {error}\n".encode())
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status
