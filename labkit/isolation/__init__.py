"""How is a process isolated, by hand and in the real engine? Namespace experiments.

| module | question |
|---|---|
| interfaces | Which interfaces, addresses, routes and rules does a network namespace have? |
| network | How does a container get a network: veth, bridge, addresses, routes, NAT, a published port? |
"""
