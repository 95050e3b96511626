"""What is the computer under a notebook?

outside                                                            inside
launcher   the process that Jupyter knows; talks to the inside     inside          PID 1: makes the contract true
guard      owns every process of the machine, and undoes it all    engine_process  dockerd, and its return
native     namespaces under the host's kernel                      busybox         the image that is always there
uml        a kernel of its own, as an ordinary process
doctor     what this host can do, and the cure for what it cannot
refusal    the kernel that says why there is no machine
"""
