"""Further real engines: how does one start a Docker Engine beside the one that runs, or a registry?

daemon         a dockerd in namespaces of its own, which meets no other and leaves nothing
registry       a docker-registry of one's own, empty
trials         what each storage driver costs, when a real engine does the same work with it
certificates   what `dockerd --tlsverify` shows and asks for
image_store    the other store of images, in the engine that runs
"""
