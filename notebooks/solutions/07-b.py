# Hint: Overlay copies a file up before it is changed. What belongs to a file besides its content? Who owns it, and who
#   may read it.
# Hint: `chmod` changes who may read a file. Run it in the container: `docker run --name payer busybox chmod ...`.

print(sh("docker run --name payer busybox chmod 700 /bin/busybox"))
