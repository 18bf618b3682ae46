"""Ask the server what its users will ask: runs on the node, from the standard library of Python 3.10 or later.

server   questions and replies over HTTP
checks   what each reply must show
run      the command: asks once for each start of the service, and writes the result
"""
