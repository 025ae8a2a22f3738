"""Everything that api and worker share; pure numerics at the bottom."""
