"""The routes, one file each; they do not know each other."""
