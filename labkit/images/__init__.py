"""What is an image, where is it kept, and how do its layers become a root?

| module | question |
|---|---|
| `paths` | Which path inside the image does a name in a tar mean, and how is it shown? |
| `oci` | What do the documents of an image say? |
| `tar` | Which entries does a tar hold, and where do their bytes lie? |
| `sparse` | Do the pieces of a sparse file, as a tar lists them, make a file? |
| `content` | What do the entries of one layer say? |
| `merged` | What is the tree when layers are laid on each other, and what does each of them change? |
| `dive` | How much of an image is wasted, as dive counts it? |
| `layers` | What does each layer do, what is the tree at any layer, and what is wasted? |
| `compression` | How does one read a layer that is compressed, without being flooded? |
| `hashing` | How are digests computed beside the program's other work? |
| `blobs` | Where are the files of an image archive, and how are they read? |
| `archives` | What is in an image that lies in a file or in a directory? |
| `live` | What is in an image that an engine has? |
| `stored` | What does a data root hold, as values? |
| `store` | What is in the data root of an engine that keeps its images with a graph driver? |
| `containerd_store` | What is in the store of containerd, with which Docker 29 keeps its images by default? |
| `reading` | How does one read the files of a store, when a name or a link in it may lead elsewhere? |
| `bolt` | What does a bolt database hold? |
| `tar_split` | How does the directory of a layer become the exact tar again, whose digest is the diff_id? |
| `registry` | How are images pushed to a registry and pulled from one? |
| `registry_session` | How does a request reach a registry, and what if it asks for a token, or sends us elsewhere? |
| `build_log` | What did the engine's builder do with each line of a Dockerfile? |
| `builds` | How does one have an image built from files that are in memory? |
| `overlay` | What do the directories of an overlay hold, and what do their marks mean? |
| `union` | How does the kernel make one directory of several, and what changes when somebody writes? |
| `drivers` | Which storage drivers are there, of what is each made, and what was measured on one? |
"""
