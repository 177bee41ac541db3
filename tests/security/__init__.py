"""What strangers send: hostile files, requests, addresses and arguments."""
