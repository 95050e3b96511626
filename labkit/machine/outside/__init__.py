"""The side of a machine that is an ordinary process of the host.

machine    How does a process outside get a machine, and talk to it?
guard      Who sees to it that nothing of a machine is left?
native     How does a machine come out of the host's own kernel?
uml        How does a machine come out of nothing but the right to run a program?
kernel     Which User-Mode Linux does a machine run, and what does that kernel need?
xstate     How does a User-Mode Linux that is older than the host's processor boot?
attach     How does a command inside a machine get this terminal's input, and where does its output go?
terminals  Who may open a terminal in a machine that runs already, and what passes between the two?
visit      How does this terminal get into the machine of a lesson that is open?
ports      Who may have a port of a notebook's kernel while nobody serves it, and from when on may a machine?
refusal    What does a notebook see on a host that cannot carry a lab machine?
"""
