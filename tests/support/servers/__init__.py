"""The app in processes of its own, who visits it, and what it holds."""
