# Hint: `setpriv --reuid=1000 --regid=1000 --clear-groups` starts what follows as user 1000. What follows is `unshare`.
# Hint: `unshare --user --map-root-user --uts sh -c '...'` runs a shell as root inside. In the shell, set the host name with
#   `hostname cell`, and then run `sleep 600`.

user = "setpriv --reuid=1000 --regid=1000 --clear-groups"
sh(f"{user} unshare --user --map-root-user --uts sh -c 'hostname cell; exec sleep 600' & sleep 1")
