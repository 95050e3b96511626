# Hint: Three options, one for each wish. You have seen two of them: `--read-only` and `--security-opt no-new-privileges`.
# Hint: The third one is `--tmpfs`. Its value is a path.

lesson.remove("safe")  # in case of a second try
sh("docker run -d --name safe --read-only --tmpfs /tmp --security-opt no-new-privileges busybox sleep 600")
