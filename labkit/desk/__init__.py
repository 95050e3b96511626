"""How does a learner get a desk: a folder of lessons, a JupyterLab that knows them, a way back to the beginning?

folder  How does a learner get a copy of the lessons that an update does not take away?
demo    How does a teacher show a lesson to a class, one step a key press?
home    What does a learner see first: the picture of the course, what is done, where to go on?
server  What can the learner's JupyterLab do that an ordinary one cannot?
"""
