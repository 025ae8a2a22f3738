"""All processes of Chainrule on one machine: started together, watched, ended together."""
