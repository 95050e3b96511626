# Hint: `docker create`, `docker cp` and `docker commit` make the image, as in section 2. Then follow the names: image id,
#   diff_ids, chain id, cache-id.
# Hint: `find` finds the file in two directories: one belongs to the container, and one to the image. `read_store(root)`
#   knows which: `store.layers_of(store.image("mine"))` gives the layers, the lowest first. Each has a `directory`.

sh("echo dear reader > /tmp/letter; docker create --name desk busybox; docker cp /tmp/letter desk:/")
sh("docker commit desk mine")
store = read_store(root)
layer = store.layers_of(store.image("mine"))[-1]
sh(f"rm -rf /root/found; ln -s {layer.directory} /root/found")
