# Hint: `docker run` starts a container. Three options matter: `-d` lets it run in the background, `--name` names
#   it, `--hostname` sets the name that it has inside.
# Hint: The line has this order: `docker run`, then the options, then `busybox`, then the command `sleep 600`.

print(sh("docker run -d --name pet --hostname rex busybox sleep 600"))
