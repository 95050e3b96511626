"""What is the computer under a notebook?

launcher         What does Jupyter start when a notebook asks for the kernel "Docker Lab"?
provisioner      Which ports does Jupyter give the kernel of a notebook, and what if somebody else takes one?
doctor           What can this host do, and what is the cure for what it cannot?
request          What is asked of a machine, and in which words do its two sides talk?
boot_log         How far has a machine's boot come?
channels         How does a notebook reach its Python kernel, whatever a learner does to the machine's network?
engine_programs  Which engine will a machine run, and does its runc go with it?
modules          Which parts of Debian's user-mode kernel have to be loaded, and when?
last_words       What did a part of a machine say before it ended, and which line of it tells why?
outside          the side of a machine that is an ordinary process of the host
inside           the side of a machine that runs within it, as root
"""

__all__ = ["KINDS"]

KINDS = ("native", "uml")  # in the order in which they are tried
