# Hint: Three commands: `docker swarm init`, `docker service create`, `docker service update`.
# Hint: `docker service create --detach --no-resolve-image --name echo --replicas 2 busybox sleep 600`. The update has
#   `--args "sleep 601"`: the words behind the image are the arguments of a service.

sh("docker swarm leave --force")  # in case of a second try
sh("docker swarm init --advertise-addr 127.0.0.1")
lesson.undo(sh, "docker swarm leave --force")
flags = "--detach --no-resolve-image --stop-grace-period 1s"
sh(f"docker service create --name echo --replicas 2 {flags} busybox sleep 600")
wait_for(engine, lambda now: len(now.running("echo")) == 2)
sh("docker service update --detach --no-resolve-image --args 'sleep 601' echo")
wait_for(engine, lambda now: len([task for task in now.tasks if task.wanted != "running"]) == 2)
wait_for(engine, lambda now: len(now.running("echo")) == 2)
