# Hint: `nsenter` joins namespaces of a process. `--target` names the process, and each kind has an option of its own.
# Hint: `docker inspect --format '{{.State.Pid}}' inn` gives the number of the container's process. The option for the
#   network is `--net`. Do not forget the `&` at the end.

sh("docker run -d --name inn busybox sleep 600")
inn = sh("docker inspect --format '{{.State.Pid}}' inn").out.strip()
sh(f"nsenter --target {inn} --net sleep 300 &")
sh("sleep 0.5")  # until nsenter has become sleep
