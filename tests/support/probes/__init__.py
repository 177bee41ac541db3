"""What a process reads, writes, asks and takes, seen from outside."""
