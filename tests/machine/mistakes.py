"""What do learners usually do wrong in each exercise, and what is the check to say then?

Each mistake is made on a machine where nothing of the exercise is left. `words` are in the verdict.
"""

from typing import NamedTuple

__all__ = ["MISTAKES", "Mistake"]


class Mistake(NamedTuple):
    """What is done in the learner's cell, and words of the verdict on it."""

    exercise: str
    code: str
    words: str


def spoil(part: str, right: str, wrong: str) -> str:
    """Write a part of lesson 16's program as the lesson has it, but for one place."""
    return (
        "from labkit.check.program import lessons_part\n"
        f"right = lessons_part({part!r})\n"
        f"assert {right!r} in right\n"
        f"program.write({part!r}, right.replace({right!r}, {wrong!r}))"
    )


SUPERVISE = """
import threading
def keep(deaths):
    for death in deaths:
        engine.post(f"/containers/{death['Actor']['ID']}/start", check=False)
        %s
deaths = engine.json_lines("GET", "/events", query={"filters": {"event": ["die"], "container": ["phoenix"]}})
lesson.undo(deaths.close)
threading.Thread(target=keep, args=(deaths,), daemon=True).start()
sh("docker run -d --name phoenix busybox sleep 600")
"""

COMPOSE_SHOP = """
Path("/run/shop").mkdir(exist_ok=True)
Path("/run/shop/docker-compose.yml").write_text(PROJECT)
sh(f"{COMPOSE} down --timeout 0")
"""
SWARM = """
sh("docker swarm leave --force; docker swarm init --advertise-addr 127.0.0.1")
lesson.undo(sh, "docker swarm leave --force")
CREATE = "docker service create --detach --no-resolve-image --stop-grace-period 1s --name echo"
"""
SETTLED = 'wait_for(engine, lambda now: len(now.running("echo")) == 2)'

GIVER = 'lesson.remove("giver")\nsh("docker run -d --name giver %s busybox sleep 600; sleep 0.5")\n'
SAFE = 'lesson.remove("safe")\nsh("docker run -d --name safe %s busybox sleep 600")\n'
SURVIVOR = 'lesson.remove("survivor")\nsh("docker run -d --name survivor busybox sleep 600")\n'
LIVE_RESTORE = "reload_engine(engine, kept | {'live-restore': True})\n"

LETTER = """
sh("echo dear > /tmp/letter; docker create --name box busybox; docker cp /tmp/letter box:/; docker commit box mine")
"""

QUICK = """
sh("rm -rf /quick && mkdir /quick && echo one > /quick/app.txt")
Path("/quick/{name}").write_text({lines!r})
"""
SLOW = "RUN seq 1 100000 > /packages"

PROMOTE = """
import json
lesson.registry()
sh("docker tag busybox localhost:5000/test/box:v1 && docker push localhost:5000/test/box:v1")
registry = Registry("http://localhost:5000")
manifest = registry.manifest("test/box", "v1")
for blob in [manifest.json()["config"], *manifest.json()["layers"]]:
    registry.mount("{to}", blob["digest"], "test/box")
{put}
"""


def quick(*lines: str, name: str = "Dockerfile") -> str:
    return QUICK.format(name=name, lines="\n".join(["FROM busybox", *lines]))


MINE = """
line = "umount -q /run/mine/merged /run/mine/m; rm -rf /run/mine; mkdir /run/mine; cd /run/mine;"
line += " mkdir lower upper work merged; echo > lower/a; echo > lower/b; %s; mount -t overlay overlay"
sh(line + " -o lowerdir=/run/mine/lower,upperdir=/run/mine/upper,workdir=/run/mine/work %s")
"""
OOPS = """
sh("docker run -d --name oops busybox sleep 600")
oops_upper = read_root(sh("docker inspect --format '{{.State.Pid}}' oops").out.strip()).upper
"""

# The machine keeps an address from one try to the next.
LONELY = """
sh("ip address del 10.9.8.7/32 dev lo; docker run -d --name lonely %s busybox sleep 600")
"""
ENTER = "sh(f\"nsenter --target {container_pid(engine, 'lonely')} --net ip address add %s dev lo\")"
BUNDLE = """
delete_containers("/run/mine")
sh("mkdir -p /run/mine/rootfs; docker create --name files busybox")
sh("docker export files | tar -x -C /run/mine/rootfs; cd /run/mine; runc spec")
config = json.loads(Path("/run/mine/config.json").read_text())
config["process"]["terminal"] = False
config["process"]["args"], config["hostname"] = {args!r}.split(), {hostname!r}
config["process"]["rlimits"] = [{{"type": "RLIMIT_NOFILE", "hard": {hard}, "soft": 64}}]
Path("/run/mine/config.json").write_text(json.dumps(config))
"""
RUN_BUNDLE = 'sh("runc run --detach --bundle /run/mine {name} >/dev/null 2>&1")'


def bundle(args: str = "sleep 600", hostname: str = "handmade", hard: int = 64, name: str = "mine") -> str:
    return BUNDLE.format(args=args, hostname=hostname, hard=hard) + RUN_BUNDLE.format(name=name)


ATTIC = """
from labkit.isolation.network import remove_named
remove_named("attic", "attic0", "attic1", "10.201.0.0/24")
for line in (
    "ip netns add attic",
    "ip link add attic0 type bridge && ip link set attic0 up && ip addr add 10.201.0.1/24 dev attic0",
    "ip link add attic1 type veth peer name eth0 netns attic && ip link set attic1 master attic0 up",
    "ip -n attic addr add 10.201.0.2/24 dev eth0 && ip -n attic link set eth0 up",
    "ip -n attic route add default via 10.201.0.1",
    "iptables -t nat -A POSTROUTING -s 10.201.0.0/24 ! -o attic0 -j MASQUERADE",
):
    sh(line{change})
"""
SHY = 'sh("docker run -d --name shy {} busybox httpd -f -p 80 -h /etc"); import time; time.sleep(1)'
WEB = """
sh("docker run -d --name web busybox sleep 600")
sh("docker run -d --name doctor %s busybox sleep 600")
"""
CELL = """
user = "setpriv --reuid=1000 --regid=1000 --clear-groups"
sh(f"%s & sleep 1")
"""

# A process in the background, and the machine's host name, stay from one try to the next.
ISLAND = """
from labkit.shell import end_background
end_background()
sh("hostname lab")
sh("unshare %s sh -c '%s' &")
sh("sleep 0.5")
"""
INN = """
from labkit.shell import end_background
end_background()
sh("docker run -d --name inn %s busybox sleep 600")
inn = sh("docker inspect --format '{{.State.Pid}}' inn").out.strip()
sh(f"%s &")
sh("sleep 0.5")
"""
NAMED = "hostname island; exec sleep 600"

# Files stay from one try to the next; a machine's settings begin empty.
ANEW = 'sh("rm -f /root/*.json; echo {} >/etc/docker/daemon.json")\n'


def settings(text: str, file: str = "/root/ci.json") -> str:
    """A learner writes a file of settings, and nothing else."""
    return f"{ANEW}Path({file!r}).write_text({text!r})"


def tight(flags: str) -> str:
    return f'sh("docker run -d --name tight {flags} busybox sleep 600")'


# The group above is the engine's, and stays from one try to the next.
FIXED = """
sh("docker run -d --name fixed busybox sh -c 'while :; do :; done'")
mine = group_of(engine, "fixed")
above = mine.above
write(above, "cpu_quota_us", float("inf"))
"""
ABOVE = 'write(above, "cpu_quota_us", 20_000)'


MISTAKES = [
    Mistake(
        "00-a", 'sh("docker run -d --name Pet --hostname rex busybox sleep 600")', "a container Pet, but none named"
    ),
    Mistake("00-a", 'sh("docker run -d --name pet --hostname rex busybox")', "has ended: its command, `sh`, is over"),
    Mistake("00-a", 'sh("docker run -d --hostname rex busybox sleep 600")', "its host name is rex), but its name is"),
    Mistake("00-a", 'sh("docker run -d --name pet busybox sleep 600")', "not rex"),
    Mistake("00-a", 'sh("docker create --name pet --hostname rex busybox sleep 600")', "but never started"),
    Mistake("00-a", 'sh("docker run -d busybox --name pet --hostname rex")', "its flags come before the image"),
    Mistake(
        "01-a",
        'sh("curl -sXPOST --unix-socket /run/docker.sock http://localhost/images/busybox/tag?repo=mine&tag=today")\n'
        'sh("sleep 1")',
        "there is mine:latest, but no mine:today",
    ),
    Mistake(
        "01-a",
        'engine.post("/images/busybox/tag", query={"repo": "my", "tag": "today"})',
        "there is my:today, but no mine:today",
    ),
    Mistake(
        "01-a",
        'sh("docker create --name other busybox; docker commit other mine:today")',
        "is another image than busybox",
    ),
    Mistake(
        "01-a", 'sh("docker tag busybox second:name")', "busybox has a second name, second:name, but not mine:today"
    ),
    Mistake("01-a", 'sh("docker tag busybox mine:tody")', "there is mine:tody, but no mine:today"),
    Mistake(
        "01-b",
        'sh("echo hello > /tmp/note.txt; docker run --name letter busybox; docker cp /tmp/note.txt letter:/")',
        "letter was started",
    ),
    Mistake(
        "01-b",
        'sh("echo hello > /tmp/note.txt; docker create --name letter busybox; docker cp /tmp/note.txt letter:/tmp")',
        "letter has no /note.txt",
    ),
    Mistake(
        "01-b",
        'sh("echo Hello > /tmp/note.txt; docker create --name letter busybox; docker cp /tmp/note.txt letter:/")',
        "says 'Hello', not 'hello'",
    ),
    Mistake(
        "01-b",
        'sh("docker create --name letter busybox")\n'
        'engine.put("/containers/letter/archive", query={"path": "/"}, body=b"hello")',
        "letter has no /note.txt",
    ),
    Mistake(
        "01-b",
        'sh("echo hello > /tmp/note.txt; tar cf /tmp/note.tar -C /tmp note.txt; docker create --name letter busybox")\n'
        'sh("curl -s -XPUT --data-binary @/tmp/note.tar http://localhost:5678/containers/letter/archive?path=/")',
        "`curl` calls it a form",
    ),
    Mistake(
        "02-a",
        'sh("docker create --name boxed --memory 32m --pids-limit 20 busybox")',
        "ReadonlyRootfs is False, not True",
    ),
    Mistake(
        "02-a",
        'sh("docker create --name boxed busybox --memory 32m --pids-limit 20 --read-only")',
        "Memory is 0, not 33554432 (32 MiB)",
    ),
    Mistake(
        "02-a",
        'sh("docker create --name boxed --memory 32000000 --pids-limit 20 --read-only busybox")',
        "not 33554432 (32 MiB)",
    ),
    Mistake("02-a", 'sh("docker create --name box --memory 32m busybox")', "a container box, but none named boxed"),
    Mistake(
        "02-b",
        "sh(\"docker run --name mine busybox sh -c 'echo from me; exit 7'\")",
        "wrote 'from me\\n' to stdout, and should write nothing",
    ),
    Mistake("02-b", "sh(\"docker run --name mine busybox sh -c 'echo from me >&2'\")", "ended with 0, not with 7"),
    Mistake("02-b", "sh(\"docker create --name mine busybox sh -c 'echo from me >&2; exit 7'\")", "but never started"),
    Mistake(
        "02-b", "sh(\"docker run -t --name mine busybox sh -c 'echo from me >&2; exit 7'\")", "mine has a terminal"
    ),
    Mistake("02b-a", 'sh("docker create --name fixed --rm=false -m16m busybox --init")', "Init is None, not True"),
    Mistake("02b-a", 'sh("docker create --name fixed --rm -m16m --init busybox")', "AutoRemove is True, not False"),
    Mistake("02b-a", 'sh("docker create --rm=false -m16m --init busybox -name fixed")', "its limits are right"),
    Mistake(
        "03-a", "SETTINGS.write_text(json.dumps(kept | {'labels': ['team=blue']}))", "it has not read the file again"
    ),
    Mistake("03-a", "reload_engine(engine, kept | {'labels': ['team=red']})", '"team=red" under `labels`, and not'),
    Mistake("03-a", "SETTINGS.write_text('labels: team=blue')", "is no JSON"),
    Mistake("03-a", "SETTINGS.write_text(json.dumps(kept | {'label': ['team=blue']}))", "the key is `labels`"),
    Mistake(
        "03-a",
        "SETTINGS.write_text(json.dumps(kept | {'labels': ['team=blue']}))\n"
        'sh("kill -9 $(cat /run/docker.pid); sleep 0.5")\nlesson.revive()',
        "it was restarted, not told to reload",
    ),
    Mistake(
        "03-b",
        "reload_engine(engine, kept)\n" + SURVIVOR + 'sh("kill -9 $(cat /run/docker.pid); sleep 0.5")\nlesson.revive()',
        "an engine without it ends what it finds",
    ),
    Mistake("03-b", LIVE_RESTORE + SURVIVOR, "it is younger than dockerd"),
    Mistake(
        "03-b",
        LIVE_RESTORE + SURVIVOR + 'sh("kill -9 $(pidof -s containerd-shim-runc-v2); docker wait survivor")',
        "has ended",
    ),
    Mistake("03-b", LIVE_RESTORE + 'sh("docker run -d --name survivors busybox sleep 600")', "but none named survivor"),
    Mistake("04-a", quick("COPY app.txt /app.txt", SLOW), "app.txt changed, and this line was built again: RUN seq"),
    Mistake("04-a", quick("COPY . /", SLOW), "and this line was built again: RUN seq"),
    Mistake("04-a", quick(SLOW), "the image has no /app.txt"),
    Mistake("04-a", quick("COPY app.txt /app.txt", "COPY app.txt /packages"), "no line RUN makes /packages"),
    Mistake("04-a", quick(SLOW, "COPY app /app.txt"), "the build fails: COPY failed: file not found in build context"),
    Mistake("04-a", quick(SLOW, "COPY app.txt /app.txt", name="dockerfile"), "there is /quick/dockerfile, but no Dock"),
    Mistake("04-b", PROMOTE.format(to="prod/box", put=""), "blobs, but no manifest with the tag v1"),
    Mistake(
        "04-b",
        "lesson.registry()\n"
        'sh("docker tag busybox localhost:5000/test/box:v1 && docker push localhost:5000/test/box:v1")',
        "prod/box has none of the 2 blobs, and no manifest yet",
    ),
    Mistake(
        "04-b",
        PROMOTE.format(
            to="prod/box",
            put='registry.put_manifest("prod/box", "v1", json.dumps(manifest.json()).encode(), manifest.media_type)',
        ),
        "is another manifest than test/box:v1: its JSON says the same in other bytes",
    ),
    Mistake(
        "04-b",
        PROMOTE.format(
            to="prod/box", put='registry.put_manifest("prod/box", "latest", manifest.body, manifest.media_type)'
        ),
        "prod/box has the tag latest, but no v1",
    ),
    Mistake(
        "04-b",
        PROMOTE.format(
            to="product/box", put='registry.put_manifest("product/box", "v1", manifest.body, manifest.media_type)'
        ),
        "there is a repository product/box, but no prod/box",
    ),
    Mistake(
        "05-a",
        'sh("docker create --name box busybox; docker commit box mine")\n'
        "layer = read_store(root).layers_of(read_store(root).image('mine'))[-1]\n"
        'sh(f"ln -sfn {layer.record} /root/found")',
        "leads to the record of the layer in layerdb",
    ),
    Mistake(
        "05-a",
        f'{LETTER}container = read_store(root).container("box")\n'
        "mount = read_store(root).mounts[container.container_id]\n"
        'sh(f"ln -sfn {mount.directory} /root/found")',
        "leads to a directory of the container box",
    ),
    Mistake(
        "05-a",
        f"{LETTER}layer = read_store(root).layers_of(read_store(root).image('mine'))[-1]\n"
        'sh(f"ln -sfn {layer.directory.parent} /root/found")',
        "one step too high",
    ),
    Mistake(
        "05-a",
        f"{LETTER}layer = read_store(root).layers_of(read_store(root).image('mine'))[0]\n"
        'sh(f"ln -sfn {layer.directory} /root/found")',
        "leads to another layer",
    ),
    Mistake("05-a", f'{LETTER}sh("rm /root/found")', "there is an image mine, but no /root/found"),
    Mistake(
        "05-a",
        f"{LETTER}layer = read_store(root).layers_of(read_store(root).image('mine'))[-1]\n"
        'sh(f"rm -rf /root/found; cp -r {layer.directory} /root/found")',
        "/root/found is no symbolic link: it is a directory of its own",
    ),
    Mistake(
        "05-b",
        "layer = read_store(root).layers_of(read_store(root).image('busybox'))[0]\n"
        'sh(f"tar -C {layer.directory} -cf /root/layer.tar .")',
        "is not the diff_id of the lowest layer",
    ),
    Mistake("05-b", 'sh("docker save -o /root/layer.tar busybox")', "is not the diff_id of the lowest layer"),
    Mistake(
        "05-b",
        'sh("docker create --name box busybox; docker export -o /root/layer.tar box")',
        "is not the diff_id of the lowest layer",
    ),
    Mistake(
        "05-b",
        "from labkit.images.store import layer_tar\n"
        "layer = read_store(root).layers_of(read_store(root).image('busybox'))[0]\n"
        'Path("/root/layer.tar").write_bytes(gzip.compress(b"".join(layer_tar(layer))))',
        "is compressed",
    ),
    Mistake(
        "05-b",
        f"{LETTER}from labkit.images.store import layer_tar\n"
        "layer = read_store(root).layers_of(read_store(root).image('mine'))[-1]\n"
        'Path("/root/layer.tar").write_bytes(b"".join(layer_tar(layer)))',
        "is the exact tar of another layer",
    ),
    Mistake("06-a", 'sh("mkdir -p /run/mine/lower; echo > /run/mine/lower/a")', "nothing is mounted at"),
    Mistake("06-a", MINE % ("true", "/run/mine/merged"), "b is still seen in"),
    Mistake("06-a", MINE % ("rm lower/b", "/run/mine/merged"), "b is gone from lower"),
    Mistake("06-a", MINE % ("echo > upper/.wh.b", "/run/mine/merged"), "is the mark in a layer's tar"),
    Mistake("06-a", MINE % ("mkdir m; mknod upper/b c 0 0", "/run/mine/m"), "mounted at /run/mine/m, but none at"),
    Mistake("06-b", OOPS + 'sh("docker exec oops rm /bin/vi")', "a whiteout in the write layer of oops hides"),
    Mistake(
        "06-b",
        OOPS
        + 'sh("docker exec oops rm /bin/vi; docker create --name spare busybox; docker cp spare:/bin/vi /tmp/vi")\n'
        + 'sh("docker cp /tmp/vi oops:/bin/vi")',
        "but as a copy in the write layer",
    ),
    Mistake("06-b", OOPS, "nobody has deleted /bin/vi in oops"),
    Mistake(
        "06-b",
        OOPS
        + 'sh("docker exec oops rm /bin/vi; docker exec oops ls /bin/vi")\n'  # the kernel remembers what is not there
        + 'os.remove(f"{oops_upper}/bin/vi")\nsh("docker restart -t 1 oops")',
        "was changed while oops ran",
    ),
    Mistake(
        "06-b",
        OOPS + 'sh("docker exec oops rm /bin/vi")\nos.remove(f"{oops_upper}/bin/vi")',  # here it may be seen at once
        "was changed while oops ran",
    ),
    Mistake("06-b", OOPS + 'sh("docker exec oops rm /bin/vi; docker stop -t 1 oops")', "oops exists, but it has ended"),
    Mistake("07-a", settings('{"storage-driver": "vfs"'), "is no JSON"),
    Mistake("07-a", settings('{"storage_driver": "vfs"}'), "don't match any configuration option: storage_driver"),
    Mistake("07-a", settings('{"storage-driver": "overlay2"}'), "uses overlay2, not vfs"),
    Mistake("07-a", settings('{"storage-driver": "vsf"}'), "driver not supported"),
    Mistake("07-a", settings('"vfs"'), "is no JSON object"),
    Mistake("07-a", settings('{"storage-driver": "vfs"}', "/root/daemon.json"), "but no /root/ci.json"),
    Mistake("07-a", settings('{"storage-driver": "vfs"}', "/etc/docker/daemon.json"), "of the machine's own engine"),
    Mistake("07-b", 'sh("docker run --name payer busybox cat /bin/busybox >/dev/null")', "has no new file at all"),
    Mistake("07-b", 'sh("docker run --name payer busybox cp /bin/busybox /copy")', "It has /copy."),
    Mistake("07-b", 'sh("docker create --name payer busybox chmod 700 /bin/busybox")', "has no copy of /bin/busybox"),
    Mistake(
        "07-b",
        'sh("docker create --name payer busybox; docker cp /bin/true payer:/bin/busybox")',
        "its content is another than in the image",
    ),
    Mistake("07-b", 'sh("docker run --name player busybox chmod 700 /bin/busybox")', "but none named payer"),
    Mistake("11-a", tight("--memory-reservation 24m --cpus 0.5 --pids-limit 40"), "is a wish, and no limit"),
    Mistake("11-a", tight("--memory 24m --cpu-shares 512 --pids-limit 40"), "--cpu-shares is no limit"),
    Mistake("11-a", tight("--memory 24m --cpus 0.5 --ulimit nproc=40"), "counts the processes of a user"),
    Mistake("11-a", tight("--memory 24000000 --cpus 0.5 --pids-limit 40"), "not 24 MiB"),
    Mistake(
        "11-a", 'sh("docker run -d --name tight busybox --memory 24m sleep 600")', "it was made, but never started"
    ),
    Mistake(
        "11-a", 'sh("docker run --name tight --memory 24m --cpus 0.5 --pids-limit 40 busybox true")', "it has ended"
    ),
    Mistake("11-b", FIXED + 'sh("docker update --cpus 0.2 fixed")', "docker has set it"),
    Mistake("11-b", FIXED + 'write(group_of(engine, "fixed"), "cpu_quota_us", 200_000)', "200 % of a processor"),
    Mistake("11-b", FIXED, "all the processor time that there is, not 20 %"),
    Mistake("11-b", FIXED + ABOVE, "it holds for all containers together"),
    Mistake("11-b", FIXED + 'sh("docker kill fixed")', "fixed exists, but it has ended"),
    Mistake(
        "10-a",
        LONELY % "--network none" + 'sh("ip address add 10.9.8.7/32 dev lo")',
        "the machine itself has 10.9.8.7: that line ran in the machine's network namespace",
    ),
    Mistake("10-a", LONELY % "--network none", "the network namespace of lonely does not have 10.9.8.7"),
    Mistake("10-a", LONELY % "--network none" + ENTER % "10.9.8.8/32", "has 10.9.8.8, not 10.9.8.7"),
    Mistake("10-a", LONELY % "" + ENTER % "10.9.8.7/32", "lonely is in the network bridge"),
    Mistake(
        "10-a",
        LONELY % "--network none --cap-add NET_ADMIN" + 'sh("docker exec lonely ip address add 10.9.8.7/32 dev lo")',
        "lonely has rights of its own",
    ),
    Mistake("10-b", 'sh("mkdir -p /run/mine/rootfs")', "no config.json in it"),
    Mistake("10-b", 'sh("cd /run/mine; runc spec")', "no root directory in /run/mine/rootfs"),
    Mistake("10-b", BUNDLE.format(args="sleep 600", hostname="handmade", hard=64), "runc runs no container mine"),
    Mistake("10-b", bundle(hostname="runc"), "the process of mine sees is runc, not handmade"),
    Mistake("10-b", bundle(hard=1024), "may open 64 files, and up to 1024 if it asks"),
    Mistake("10-b", bundle(name="yours"), "runc has a container yours, but none named mine"),
    Mistake("10-b", bundle(args="true"), "mine does not run: runc says stopped"),
    Mistake(
        "10-b",
        'delete_containers("/run/mine")\nsh("docker run -d --name mine --hostname handmade busybox sleep 600")',
        "mine was made by the engine",
    ),
    Mistake("12-a", ATTIC.format(change='.replace("MASQUERADE", "ACCEPT")'), "with the source 10.201.0.2"),
    Mistake("12-a", ATTIC.format(change='.replace("route add default", "route add 9.9.9.0/24")'), "no default route"),
    Mistake("12-a", ATTIC.format(change='.replace("master attic0 ", "")'), "is no port of a bridge: it is to be one"),
    Mistake("12-a", ATTIC.format(change='.replace(" && ip -n attic link set eth0 up", "")'), "eth0 in attic is not up"),
    Mistake("12-a", ATTIC.format(change='.replace("addr add 10.201.0.2", "addr add 10.201.0.3")'), "not 10.201.0.2"),
    Mistake("12-a", ATTIC.format(change='.replace("netns attic", "")'), "there is no end of a veth pair"),
    Mistake("12-b", SHY.format("-p 8090:80"), "port 8090 is open on all addresses of this machine"),
    Mistake("12-b", SHY.format("-p 127.0.0.1:80:8090"), "port 80 leads to port 8090 of shy, not to 80"),
    Mistake("12-b", SHY.format("--expose 80"), "shy publishes no port"),
    Mistake(
        "12-b", SHY.format("-p 127.0.0.1:8090:80").replace("-p 80 ", "-p 8090 "), "nobody answers on 127.0.0.1:8090"
    ),
    Mistake("12-b", SHY.format("-p 127.0.0.1:8091:80"), "the port of 127.0.0.1 is 8091, not 8090"),
    Mistake("09-a", ISLAND % ("--pid --fork --mount-proc", NAMED), "this machine itself is named island"),
    Mistake("09-a", ISLAND % ("--uts --pid", NAMED), "it is in the machine's PID namespace"),
    Mistake("09-a", ISLAND % ("--uts --pid --fork", NAMED), "its /proc is still the machine's"),
    Mistake("09-a", ISLAND % ("--uts --pid --net --fork --mount-proc", NAMED), "it has a network namespace of its own"),
    Mistake(
        "09-a", ISLAND % ("--uts --pid --fork --mount-proc", "hostname isle; exec sleep 600"), "is isle, not island"
    ),
    Mistake("09-a", ISLAND % ("--pid --fork --mount-proc", "exec sleep 600"), "it shares the host name of the machine"),
    Mistake(
        "09-a",
        ISLAND % ("--uts --pid --fork --mount-proc", "hostname island; sleep 600; true"),
        "another program is the first child",
    ),
    Mistake("09-b", INN % ("", "true"), "no sleep from outside is in its network namespace"),
    Mistake("09-b", INN % ("", "docker exec inn sleep 300"), "it sees the files of another mount namespace"),
    Mistake("09-b", INN % ("", "unshare --net sleep 300"), "which is not that of inn"),
    Mistake("09-b", INN % ("", "nsenter --target {inn} --net --uts sleep 300"), "it has another host name"),
    Mistake("09-b", INN % ("--network host", "nsenter --target {inn} --net sleep 300"), "it shares the machine's"),
    Mistake("08-a", WEB % "--network container:web", "doctor and web do not share the processes"),
    Mistake("08-a", WEB % "--pid container:web", "doctor and web do not share the network"),
    Mistake("08-a", WEB % "--network host --pid host", "doctor has the processes of the machine itself"),
    Mistake(
        "08-a",
        'sh("docker run -d --name web --network host busybox sleep 600")\n'
        'sh("docker run -d --name doctor --network container:web --pid container:web busybox sleep 600")',
        "web has the network of the machine itself",
    ),
    Mistake("08-a", 'sh("docker run -d --name web busybox sleep 600")', "web is there, but no container doctor"),
    Mistake(
        "08-a",
        WEB.replace("doctor", "surgeon") % "--network container:web --pid container:web",
        "what was asked for (it joins web), but its name is surgeon",
    ),
    Mistake("08-a", WEB.replace('sleep 600")\n', 'true")\n') % "", "its command, `true`, is over"),
    Mistake("08-b", CELL % "unshare --user --map-root-user --uts sh -c 'hostname cell; sleep 600'", "user 0 outside"),
    Mistake("08-b", CELL % "{user} unshare --user --uts sleep 600", "nobody is root in it"),
    Mistake("08-b", CELL % "{user} unshare --user --map-root-user sleep 600", "its host name is the machine's"),
    Mistake("08-b", CELL % "{user} unshare --user --map-root-user --uts sleep 600", "its host name is lab, not cell"),
    Mistake("08-b", CELL % "unshare --uts sh -c 'hostname cell; sleep 600'", "but the users of the machine"),
    Mistake(
        "13-a",
        'sh("docker run -d --name parrot busybox cat; docker wait parrot")',
        "has ended: its command, `cat`, is over",
    ),
    Mistake("13-a", 'sh("docker run -dit --name parrot busybox cat")', "parrot has a terminal"),
    Mistake("13-a", 'sh("docker run -di --name parrot busybox cat")', "has not repeated 'hello again' yet"),
    Mistake(
        "13-a",
        "sh(\"docker run -di --name parrot busybox sh -c 'echo hello again; cat'\")",
        "was started with 'hello again'",
    ),
    Mistake(
        "13-a",
        'sh("docker run -di --name polly busybox cat")\nsh("echo hello again | docker attach polly", timeout_s=2)',
        "not attempted",
    ),
    Mistake("13-b", 'sh("docker run -d --restart always --name phoenix busybox sleep 600")', "has a restart policy"),
    Mistake("13-b", 'sh("docker run -d --name phoenix busybox sleep 600")', "nobody had started it again"),
    Mistake("13-b", SUPERVISE % "break", "was killed again, and 10 s later nobody"),
    Mistake(
        "14-a",
        COMPOSE_SHOP + 'sh(f"{COMPOSE} up --detach --scale reader=2")',
        "1 container runs for the service web, and not 2",
    ),
    Mistake(
        "14-a",
        COMPOSE_SHOP + 'sh(f"{COMPOSE} up --detach --scale web=2; docker kill shop_web_2 shop-web-2")',
        "1 of the 3 containers of shop do not run",
    ),
    Mistake(
        "14-a",
        COMPOSE_SHOP + 'sh(f"{COMPOSE} up --detach")\n'
        'mine = "--label com.docker.compose.project=shop --label com.docker.compose.service=web"\n'
        'sh(f"docker run -d --name second {mine} busybox sleep 600")',
        "is a container that Compose has not made",
    ),
    Mistake("14-b", SWARM + 'sh(f"{CREATE} --replicas 2 busybox sleep 601")\n' + SETTLED, "it was never changed"),
    Mistake("14-b", SWARM + 'sh(f"{CREATE} --replicas 2 busybox sleep 600")', "are to run `sleep 600`, and not"),
    Mistake("14-b", SWARM + 'sh(f"{CREATE} --replicas 1 busybox sleep 601")', "echo wants 1 tasks, and not 2"),
    Mistake("14-b", SWARM, "it has no service echo"),
    Mistake("16-a", spoil("A", 'elif name.startswith(".wh."):', "elif False:"), "should have a character device 0,0"),
    Mistake("16-a", spoil("A", "and reference != digest", "and False"), "compare hashlib.sha256 with the digest"),
    Mistake("16-a", spoil("A", 'manifest["layers"]:', 'reversed(manifest["layers"]):'), "in the wrong order"),
    Mistake("16-a", spoil("A", 'if "manifests" in manifest:', "if False:"), "an image for each of two architectures"),
    Mistake(
        "16-b", spoil("B", "clone(NAMESPACES)", "clone(NAMESPACES & ~CLONE_NEWIPC)"), "with the machine: shared memory"
    ),
    Mistake("16-b", spoil("B", 'in reversed(box["layers"])', 'in box["layers"]'), "check lowerdir"),
    Mistake("16-b", spoil("B", '    return box["status"]', "    return 0"), "with 7, and mydocker run with 0"),
    Mistake("16-b", spoil("B", '    sethostname(box["name"])', ""), "is not the container's name"),
    Mistake("16-b", spoil("B", "    die_with_parent(0, signal.SIGKILL)", "    #"), "the container runs on"),
    Mistake("16-c", spoil("C", '(group / "cgroup.procs").write_text(str(pid))', "pass"), "no control group of its own"),
    Mistake("16-c", spoil("C", "if box[controller]:", "if controller == 'pids':"), "no limit, and not 67108864"),
    Mistake("16-c", spoil("C", "INSIDE.append(drop_capabilities)", ""), "capabilities, and not Docker's 14"),
    Mistake("16-c", spoil("C", "AFTER.append(remove_groups)", ""), "its control group is still there"),
    Mistake("16-d", spoil("D", "return number", "return 2"), "does not start"),
    Mistake("16-d", spoil("D", '    ip("link set eth0 up", pid)', ""), "does not start"),
    Mistake("16-d", spoil("D", " master {BRIDGE} up", " up"), "does not answer this machine"),
    Mistake("16-d", spoil("D", "AFTER.append(give_back)", ""), "is not given to the next one"),
    Mistake("16-e", spoil("E", ", (signal.SIGKILL, 10)):", ",):"), "after stop the program runs on"),
    Mistake("16-e", spoil("E", "pid = os.fork()  #", "pid = 0  #"), "fork after setns"),
    Mistake("16-e", spoil("E", "    limit(box, os.getpid())", ""), "not in the control group of the container"),
    Mistake("16-e", spoil("E", "    shutil.rmtree(", "    print("), "rm has left the directory"),
    Mistake("15-a", GIVER % "--cap-add CHOWN", "giver may have more than was asked for: DAC_OVERRIDE"),
    Mistake("15-a", GIVER % "--cap-drop CHOWN", "giver may have more than was asked for: DAC_OVERRIDE"),
    Mistake("15-a", GIVER % "--cap-drop ALL", "giver does not have CHOWN"),
    Mistake(
        "15-a",
        GIVER % "--user 1000 --cap-drop ALL --cap-add CHOWN",
        "its process runs as user 1000, and that one has no CHOWN",
    ),
    Mistake("15-a", GIVER.replace("sleep 600", "true") % "--cap-drop ALL", "its command, `true`, is over"),
    Mistake("15-b", SAFE % "--read-only", "nothing is mounted at /tmp"),
    Mistake("15-b", SAFE % "--read-only --tmpfs /tmp", "NoNewPrivs is 0"),
    Mistake(
        "15-b", SAFE % "--tmpfs /tmp --security-opt no-new-privileges", "the root directory of safe can be written"
    ),
    Mistake(
        "15-b", SAFE % "--read-only -v /tmp --security-opt no-new-privileges", "/tmp is a directory of the machine"
    ),
    Mistake("15-b", SAFE % "--read-only --tmpfs /tmp -v /srv:/srv", "/srv is a directory of the machine"),
]
