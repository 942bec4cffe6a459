"""What is installed, and what is known against it: commands over the locks."""
