"""Did the learner do it? Each check looks at the state of the machine, never at what was typed.

verdict       What does a check say?
finding       Is there a container, or an image, of that name, or one that comes near?
solution      Which hints and which solution has an exercise, and may the solution be read already?
containers    Is there the container that was asked for, and does it do what was asked for?
isolation     Did somebody enter a namespace of a container? Does runc run a bundle that was written by hand?
isolations    Does a container share what it should with another one? Who is the root of a user namespace outside?
images        Is there the image that was asked for?
limits        Does the kernel limit a container as it was asked for, and who has set the limit?
log           What did a container without a terminal write?
namespaces    Did the learner put a process into new namespaces, or into those of a container?
mydocker      Does a part of the learner's own docker do what it should, on the machine?
program       How do the parts that a learner has written become one program?
runs          How does a check run a learner's program, and what of its containers must be gone afterwards?
preparing     What is given to a learner's program before a check, and taken away after it?
pulling       Does a learner's `pull` make directories of an image's layers?
trials        Does a learner's `run` isolate, limit and connect a program, and do `exec`, `stop` and others work?
peers         Do a learner's own docker and the real one give a container the same?
overlays      Does an overlay hide what it was asked to hide, and does a write layer hold what it should?
streams       Does a container hear, and does it answer?
storage       Did the learner find a layer in the data root, and is its tar the exact one?
"""
