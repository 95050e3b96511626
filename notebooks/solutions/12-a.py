# Hint: It is section 1 with other names, and the rule of section 2. Which end of the veth pair is a port of the bridge?
# Hint: What is down, carries nothing: the bridge, both ends of the pair. `attic` needs a default route via 10.201.0.1,
#   and this machine needs a rule `MASQUERADE` for 10.201.0.0/24.

remove_named("attic", "attic0", "attic1", "10.201.0.0/24")  # in case of a second try
sh("ip netns add attic")
sh("ip link add attic0 type bridge && ip link set attic0 up && ip addr add 10.201.0.1/24 dev attic0")
sh("ip link add attic1 type veth peer name eth0 netns attic && ip link set attic1 master attic0 up")
sh("ip -n attic addr add 10.201.0.2/24 dev eth0 && ip -n attic link set eth0 up")
sh("ip -n attic route add default via 10.201.0.1")
sh("iptables -t nat -A POSTROUTING -s 10.201.0.0/24 ! -o attic0 -j MASQUERADE")
