"""How is a process isolated, by hand and in the real engine? Namespace experiments.

| module | question |
|---|---|
| namespaces | Which process is in which namespaces, and how does one join those of another? |
| helper | How does a function or a cell run in a process of its own, which the notebook's kernel is not moved by? |
| running | What does the notebook's side see of an experiment that runs, and how does it end one? |
| resident | Which process forks for an experiment, and ends with the notebook's kernel? |
| experiment | What does the process of one experiment do, from its fork to its end? |
| cell | What does a cell's text need of its notebook, when it is to run in a process of its own? |
| joining | Which namespaces of another process may a process join, by the number of its threads? |
| refusals | What did the kernel say to a process that tried to join namespaces? |
| runc | Which containers has runc made that were started by hand, and how do they end? |
| tracing | What did the processes of a command do, as strace saw it? |
| interfaces | Which interfaces, addresses, routes and rules does a network namespace have? |
| network | How does a container get a network: veth, bridge, addresses, routes, NAT, a published port? |
"""
