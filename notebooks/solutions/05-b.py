# Hint: `busybox` has one layer, and the chain id of a lowest layer is its diff_id. So `read_store(root)` gives the layer:
#   `store.layers_of(store.image("busybox"))[0]`. Its `record` is the directory in `layerdb`.
# Hint: `exact_tar` of section 6 gives the bytes of a layer, and `Path.write_bytes` writes them. labkit has such a
#   function, too: `layer_tar(layer)` gives the bytes in pieces.

from labkit.images.store import layer_tar

store = read_store(root)
layer = store.layers_of(store.image("busybox"))[0]
Path("/root/layer.tar").write_bytes(b"".join(layer_tar(layer)))
