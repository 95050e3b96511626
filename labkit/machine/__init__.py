"""What is the computer under a notebook?

outside                                                             inside
provisioner  starts the launcher for Jupyter, on ports of its own   inside          PID 1
launcher     the process that Jupyter knows; talks to the inside    contract        what it makes true first
guard        owns every process of the machine, and undoes it all   jobs            what it starts then
outside      boots a machine, and listens to it                     engine_process  dockerd, and its return
native       namespaces under the host's kernel                     busybox         the image that is always there
uml          a kernel of its own, as an ordinary process            boot_log        how far the boot has come
attach       a command's input and output
doctor       what this host can do, and the cure for what it cannot
refusal      the kernel that says why there is no machine           request         the words between both sides
ports        who may have a port while nobody serves it             channels        how a notebook reaches its kernel
"""
