# Hint: `file_of(group_of(engine, "fixed"), "cpu_quota_us")` names the file. `write` of `labkit` writes into it.
# Hint: The kernel counts in microseconds: a tenth of a second is 100,000. So 20 % are 20,000 of 100,000.

sh("docker run -d --name fixed busybox sh -c 'while :; do :; done'")
write(group_of(engine, "fixed"), "cpu_quota_us", 20_000)
