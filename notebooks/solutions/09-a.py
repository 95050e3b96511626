# Hint: `unshare` has an option for each kind: here you need `--uts` and `--pid`. A new PID namespace begins with a child,
#   so there is a third option, and one more for `/proc`.
# Hint: The line is `unshare --uts --pid --fork --mount-proc sh -c '...' &`. In the shell, set the name with `hostname`.
#   Then let `exec` turn the shell into `sleep 600`: a shell that starts `sleep` stays process 1 itself.

sh("unshare --uts --pid --fork --mount-proc sh -c 'hostname island; exec sleep 600' &")
sh("sleep 0.5")  # until the shell has become sleep
