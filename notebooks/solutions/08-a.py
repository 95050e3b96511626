# Hint: `docker run` has an option for each kind that can be joined. You have seen `--network container:box`.
# Hint: The option for the processes has the same form: `--pid container:web`. Start `web` first.

lesson.remove("doctor", "web")  # in case of a second try
sh("docker run -d --name web busybox sleep 600")
sh("docker run -d --name doctor --network container:web --pid container:web busybox sleep 600")
