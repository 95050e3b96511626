"""What is the computer under a notebook?

outside                                                            inside
launcher   the process that Jupyter knows; talks to the inside     inside          PID 1
guard      owns every process of the machine, and undoes it all    contract        what it makes true first
outside    boots a machine, and forwards its ports                 jobs            what it starts then
native     namespaces under the host's kernel                      engine_process  dockerd, and its return
uml        a kernel of its own, as an ordinary process             busybox         the image that is always there
attach     a command's input and output                            boot_log        how far the boot has come
doctor     what this host can do, and the cure for what it cannot
refusal    the kernel that says why there is no machine            request         the words between both sides
"""
