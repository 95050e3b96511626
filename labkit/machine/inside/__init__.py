"""The side of a machine that runs within it, as root.

init            What does the first process of a lab machine do?
contract        How do the namespaces of a process become a computer that a lesson can rely on?
jobs            What does PID 1 of a machine start?
terminals       What are the terminals that somebody opens in a machine that runs already?
engine_process  How does the engine of a lab machine start, and start again after it died?
busybox         Where does the image busybox:latest come from, when there is no network?
oom             Who goes when a machine's memory runs out, and how does the notebook learn of it?
"""
