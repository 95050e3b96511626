# Hint: Look at each flag: one dash or two? A boolean with a value? Before the image or behind it?
# Hint: `--name` has two dashes, `--rm=false` has an equals sign, and `--init` stands before `busybox`.

sh("docker create --name fixed --rm=false -m16m --init busybox")
