"""How is a process isolated, by hand and in the real engine? Namespace experiments.

| module | question |
|---|---|
| namespaces | Which process is in which namespaces, and how does one join those of another? |
| helper | How does a function or a cell run in a process of its own, which the notebook's kernel is not moved by? |
| running | What does the notebook's side see of an experiment that runs, and how does it end one? |
| resident | Which process forks for an experiment, and ends with the notebook's kernel? |
| experiment | What does the process of one experiment do, from its fork to its end? |
| cell | What does a cell's text need of its notebook, when it is to run in a process of its own? |
| containers | Which process is a container, and where does the engine keep what it has told runc of it? |
| parcels | How does a value travel to another process and back, so that it is the same value there? |
| joining | Which namespaces of another process may a process join, by the number of its threads? |
| refusals | What did the kernel say to a process that tried to join namespaces? |
| runc | Which containers has runc made that were started by hand, and how do they end? |
| tracing | What did the processes of a command do, as strace saw it? |
| interfaces | Which interfaces, addresses, routes and rules does a network namespace have? |
| network | How does a container get a network: veth, bridge, addresses, routes, NAT, a published port? |
| inverse | Which line undoes a line of ip or iptables? |
| packet_path | What is a packet, where may it pass, and where was it seen? |
| packet_trace | By which way did a packet go, if interfaces have seen it, and rules have counted it? |
| packets | What does the kernel show of packets, on each interface of several network namespaces? |
| capture | How do packets of an overlay network travel between two nodes, and can whoever carries them read them? |
| `spec` | What is a container, as a value? |
| `docker_defaults` | What does `docker run` ask for, where nothing is said? |
| `seccomp` | Which system calls may a container make, and how is the kernel told? |
| `defences` | What keeps a container in, one name for each defence? |
| `targets` | How is a path opened in a container's root directory, when a symlink in it may lead anywhere? |
| `kernel_mounts` | How does one line of a container's mounts become a mount that lies nowhere yet? |
| `rootfs` | How does a directory become the root of a container? |
| `groups` | Which control groups are a container's, and who removes them when its maker was killed? |
| `limits` | How are the limits of a Spec written into a control group, as `docker run` does it? |
| `device_filter` | Which devices may the processes of a control group open, where the group is of version 2? |
| `users` | Which user and groups does a name mean in a container? |
| `privileges` | How does a process give up what it could do, for good? |
| `first_process` | What does the first process of a container do, before it becomes the program? |
| `making` | How is the first process of a container made, and watched to its end? |
| `guard` | Who removes the control groups of a container whose caller was killed? |
| `shim` | Who waits for the end of a container that goes on when its caller has returned? |
| `streams` | Where does a program that is run by hand read from, and where does what it writes stay? |
| `started` | How does a caller make a shim, and hear from it? |
| `bundle` | What does an OCI bundle say of a container, and how is a container written down as one? |
| `layers` | Which directories are the layers of an image, and what does the image say of a container? |
| `unpacking` | How do the layers of an image's archive become directories, whatever names and links are in it? |
| `container` | How does one run a container by hand, as `docker run` does? |
| `copying` | How does a file come out of a container, or into it, when the container swaps a link meanwhile? |
| `keeper` | What does a process of the helper do that runs a container, or keeps one? |
| `boxes` | How does a notebook run containers by hand, though its kernel has many threads? |
| `handle` | What does one hold of a container that runs, or that has ended? |
| `join` | How does one more program come into a container that runs? |
"""
