"""The Hugging Face Hub: repositories, model cards and the Space."""
