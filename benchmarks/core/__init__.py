"""Training steps of Chainrule and its peers on the same networks, batches and threads."""
