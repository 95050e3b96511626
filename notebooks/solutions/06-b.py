# Hint: A mark hides the file. `read_root(pid).upper` is the write layer of the container with this process. Read it
#   while the container runs.
# Hint: Stop the container, remove the whiteout `bin/vi` from its write layer, and start the container again.
#   `docker restart` does not do: it keeps the overlay mounted.

sh("docker run -d --name oops busybox sleep 600")
oops_pid = sh("docker inspect --format '{{.State.Pid}}' oops").out.strip()
oops_upper = read_root(oops_pid).upper  # while it runs: afterwards nothing is mounted
sh("docker exec oops rm /bin/vi")
sh("docker stop -t 1 oops")
os.remove(f"{oops_upper}/bin/vi")
sh("docker start oops")
