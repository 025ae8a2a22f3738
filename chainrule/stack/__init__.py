"""All processes of Chainrule on one machine, started and stopped together."""
