"""What does Linux show, and what does it do? Each under the name that the manual pages use.

syscalls    Which system calls make a machine out of a process?
proc        What does /proc say of a process, its mounts and its groups?
disk        How does a machine whose files lie in memory get a disk?
cgroups     In which control group is a process, and how does it get one of its own, in either version?
delegation  How do the groups below a control group of version 2 get its controllers?
cgroup_limits  What does a control group limit and count, and in which of the kernel's files does that stand?
network     What do ip and iptables say of a network: interfaces, routes, rules?
loop        How does the file system in a file become a directory, and how is nothing of that left behind?
"""
