"""Ask the server what its users will ask: runs on the node, from the standard library of Python 3.10 or later.

server      questions and replies over HTTP, whole or streamed
service     what systemd says of the unit under test
question    a check before it is made, and what those before it have found out
access      checks of keys, names, versions, weights, metrics and the gateway
replies     checks of chats, tool calls, streams, structured outputs and completions
context     the check of the longest sequence that is taken
schema      whether a value fits a JSON schema
suite       which checks a kind of model has to pass, in full or as the light part that a timer repeats
result      what a check found, and the files that say so to people and to the monitoring
run         the command
"""
