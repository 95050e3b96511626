"""API calls: how does one talk to a Docker Engine, and what do others say to it?

engine         How does one talk to the engine, when all there is is a socket?
http           What does HTTP/1.1 look like on a socket?
connection     How do the bytes of an exchange come and go, and what if they do not?
stream         How is an answer read while it is still being written, and stopped from elsewhere?
hijack         How do a client and a container's process talk both ways over one connection?
websocket      How does a browser attach to a container?
frames         How do stdout and stderr share one connection?
tls            How does TLS lie between HTTP and the socket?
path_stat      What does the engine tell of a file in a container?
tap            What does a docker command say to the engine?
conversation   What was said on a connection that somebody else holds?
record         What is kept of what was said, and what is not?
"""
