# Hint: `docker run` has one option for each limit: `--memory`, `--cpus`, `--pids-limit`.
# Hint: The line has this order: `docker run`, then `-d`, `--name` and the limits, then `busybox`, then `sleep 600`.
#   Write the memory as `24m`, and the processor as `0.5`.

sh("docker run -d --name tight --memory 24m --cpus 0.5 --pids-limit 40 busybox sleep 600")
