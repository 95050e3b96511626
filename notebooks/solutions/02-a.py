sh("docker create --name boxed --memory 32m --pids-limit 20 --read-only busybox true")
