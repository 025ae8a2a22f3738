"""How long the api and the command line take to start, and what an idle stack uses."""
