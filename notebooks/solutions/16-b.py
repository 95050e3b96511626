# Hint: `clone(NAMESPACES)` makes process 1 of the container. It waits at a pipe until the parent has written `box.json`,
#   and then becomes the program with `os.execvpe`.
# Hint: The root directory is one `mount` of an overlay. `lowerdir` names the highest layer first. Make all mounts
#   private before, and mount `/proc`, `/sys` and `/dev` before `pivot_root(".", ".")`.
# Hint: The parent reads a pipe that is the program's output, writes it into `log`, and waits with `os.waitpid`.
#   A program that was ended by signal N has the status 128 + N.

%%part B
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}  # with the major number 1


def do_run(words):
    """Write down what the container is to be, and look after it: in front, or in the background."""
    image = read_json(image_file(words.image), f"image {words.image}: pull it first")
    place = box_file(words.name).parent
    if place.exists():
        sys.exit(f"mydocker: the name {words.name} is taken")
    for name in ("upper", "work", "merged"):
        (place / name).mkdir(parents=True)
    config = image["config"]
    box = {"name": words.name, "image": words.image, "layers": image["layers"], "memory": words.memory}
    box["command"] = (config.get("Entrypoint") or []) + (words.command or config.get("Cmd") or [])
    box |= {"env": config.get("Env") or [], "cwd": config.get("WorkingDir") or "/", "pids": words.pids_limit}
    write_json(box_file(words.name), box)
    if not words.detach:
        return look_after(box, is_shown=True)
    ended, end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os._exit(look_after(box, is_shown=False, end=end))
    os.close(end)
    os.read(ended, 1)  # the other one has closed its end: the program has begun, or could not
    if "pid" not in read_json(box_file(words.name), "container"):
        sys.exit("mydocker: the container was not started. Run it without -d to see why")
    print(words.name)


def look_after(box, is_shown, end=None):
    """Be the parent of a container, from its first process to its exit status: what a shim does."""
    output, write_end = os.pipe()
    ready, go = os.pipe()
    pid = clone(NAMESPACES)
    if pid == 0:
        os.close(go)
        try:
            become(box, ready, write_end)
        except BaseException as error:
            os.write(2, f"mydocker: {error}\n".encode())
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    os.close(write_end)
    os.close(ready)
    try:
        for step in OUTSIDE:
            step(box, pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for step in AFTER:
            step(box)
        raise
    box |= {"pid": pid, "began": began(pid), "status": None}
    write_json(box_file(box["name"]), box)
    os.write(go, b"1")
    if end is not None:
        os.close(end)
    with open(box_file(box["name"]).with_name("log"), "wb", buffering=0) as log:
        while data := os.read(output, 65536):
            log.write(data)
            if is_shown:
                os.write(1, data)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for step in AFTER:
        step(box)
    box["status"] = status if status >= 0 else 128 - status
    write_json(box_file(box["name"]), box)
    return box["status"]


def began(pid):
    """When a process began, in ticks since the boot; None when there is no such process: proc_pid_stat(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def become(box, ready, output):
    """Be the first process of a container: enter its root, and become its program."""
    die_with_parent(0, signal.SIGKILL)  # who looks after it is in another PID namespace: here its number is 0
    if not os.read(ready, 1):
        os._exit(1)
    os.setsid()
    for number in (1, 2):
        os.dup2(output, number)
    sethostname(box["name"])
    enter_root(box)
    os.chdir(box["cwd"])
    execute(box, box["command"])


def enter_root(box):
    """Mount the layers and what each program expects, make that the root directory, and let the old one go."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    place = box_file(box["name"]).parent
    lower = ":".join(str(ROOT / "layers" / name) for name in reversed(box["layers"]))
    options = f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work"
    mount("overlay", place / "merged", "overlay", 0, options)
    os.chdir(place / "merged")
    os.umask(0)
    for name in ("proc", "sys", "dev"):
        os.makedirs(name, 0o755, exist_ok=True)
    mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k")
    for name, minor in DEVICES.items():
        os.mknod(f"dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"dev/{name}")
    os.umask(0o022)
    pivot_root(".", ".")
    umount2(".", MNT_DETACH)


def execute(box, command):
    """Do what is done inside, and become the program."""
    for step in INSIDE:
        step(box)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program would inherit that
    env = dict(one.split("=", 1) for one in box["env"]) | {"HOSTNAME": box["name"], "HOME": "/root"}
    os.execvpe(command[0], command, env)
