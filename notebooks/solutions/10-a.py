# Hint: You need the number of the container's process: `container_pid(engine, "lonely")`. The door is
#   `/proc/PID/ns/net`.
# Hint: The program `nsenter` enters one kind of namespace: `nsenter --target PID --net COMMAND`. The files stay ours,
#   and so does the command `ip`.

lesson.remove("lonely")
sh("docker run -d --name lonely --network none busybox sleep 600")
lonely = container_pid(engine, "lonely")
sh(f"nsenter --target {lonely} --net ip address add 10.9.8.7/32 dev lo")
