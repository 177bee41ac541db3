"""A Hugging Face Hub on loopback: downloads, uploads, and what publishing needs."""
