# Hint: `docker create --help` lists the options. One limits memory, one the number of processes, and one makes the
#   root read-only.
# Hint: The options are `--memory 32m`, `--pids-limit 20` and `--read-only`. They stand before `busybox`.

sh("docker create --name boxed --memory 32m --pids-limit 20 --read-only busybox true")
