# Hint: `-p` takes three parts: the address of this machine, its port, and the port of the container.
# Hint: Without an address, `-p` means all addresses of this machine: 0.0.0.0. You want 127.0.0.1.

sh("docker run -d --name shy -p 127.0.0.1:8090:80 busybox httpd -f -p 80 -h /etc")
