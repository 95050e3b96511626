"""How is a process isolated, by hand and in the real engine? Namespace experiments.

| module | question |
|---|---|
| joining | Which namespaces of another process may a process join, by the number of its threads? |
| refusals | What did the kernel say to a process that tried to join namespaces? |
| runc | Which containers has runc made that were started by hand, and how do they end? |
| tracing | What did the processes of a command do, as strace saw it? |
| interfaces | Which interfaces, addresses, routes and rules does a network namespace have? |
| network | How does a container get a network: veth, bridge, addresses, routes, NAT, a published port? |
"""
