"""Install, check and start the engine on a node: run by the role, from the standard library of Python 3.10 or later.

install   an environment for exactly one lock, on the volume
check     the options, by the parser of the very version that will serve
start     the service, and wait until it answers or has told why not
former    what served well before, to which a newer configuration that fails is taken back
drain     requests out of the engine before it ends, and in again once it answers
unit      the engine's unit and server, as systemd and HTTP have them
progress  what is going on, for whoever watches
"""


class EngineError(Exception):
    """Something a person must act on; the message is one line that says what."""
