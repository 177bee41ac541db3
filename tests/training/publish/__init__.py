"""The kit's tests of what goes to the Hub."""
