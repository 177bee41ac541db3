"""A sitecustomize.py that records in the file $CANARY what Python asks of the network, from its first line on."""

RECORDER = """
import os, sys
record = open(os.environ["CANARY"], "a", buffering=1)
def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        print(event, *map(repr, arguments), file=record)
sys.addaudithook(hook)
"""
