# Hint: Begin as section 8 does: `docker export box | tar -x -C /run/mine/rootfs`, then `runc spec` in `/run/mine`.
# Hint: In config.json these entries change: `process.terminal` (False), `process.args`, `hostname`, and the numbers
#   `hard` and `soft` of `process.rlimits`.
# Hint: The last line is `runc run --detach --bundle /run/mine mine >/dev/null 2>&1`.

delete_containers("/run/mine")
sh("mkdir -p /run/mine/rootfs; docker create --name files busybox")
sh("docker export files | tar -x -C /run/mine/rootfs; docker rm files; cd /run/mine; runc spec")
config = json.loads(Path("/run/mine/config.json").read_text())
config["process"]["terminal"] = False
config["process"]["args"] = ["sleep", "600"]
config["hostname"] = "handmade"
config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 64, "soft": 64}]
Path("/run/mine/config.json").write_text(json.dumps(config))
sh("runc run --detach --bundle /run/mine mine >/dev/null 2>&1")
