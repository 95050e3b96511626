"""Further real engines: how does one start a Docker Engine beside the one that runs, or a registry?

daemon         a dockerd in namespaces of its own, which meets no other and leaves nothing
start_log      what a dockerd does between its first line and "API listen on", as its log tells it
reload         how the engine that runs reads its settings again, without a restart
miniature      a function that answers requests on a socket file, as a daemon does
registry       a docker-registry of one's own, empty
cgroup_drivers whether an engine takes a cgroup driver, and starts a container with it
rootless       an engine of an ordinary user, who has no right of root's
ordinary_user  such a user, with a range of further users for containers
cluster        several engines in one network, each as if it were a computer of its own
swarm          how several engines become a swarm, and when it has done what was asked of it
swarm_state    what a manager says of its nodes and tasks
trials         what each storage driver costs, when a real engine does the same work with it
certificates   what `dockerd --tlsverify` shows and asks for
image_store    the other store of images, in the engine that runs
"""
