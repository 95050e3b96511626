# Hint: You need four directories below `/run/mine`: lower, upper, work and merged. What in upper hides a name?
# Hint: `mknod /run/mine/upper/b c 0 0` makes a whiteout by hand. Make it before you mount. The options of the mount are
#   `lowerdir=...,upperdir=...,workdir=...`.

sh("umount -q /run/mine/merged; rm -rf /run/mine")  # in case of a second try
sh("mkdir -p /run/mine/lower /run/mine/upper /run/mine/work /run/mine/merged")
sh("echo one > /run/mine/lower/a; echo two > /run/mine/lower/b")
sh("mknod /run/mine/upper/b c 0 0")
options = "lowerdir=/run/mine/lower,upperdir=/run/mine/upper,workdir=/run/mine/work"
mount("overlay", "/run/mine/merged", "overlay", 0, options)
