sh("docker run -d --name pet --hostname rex busybox sleep 600")
