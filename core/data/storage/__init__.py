"""Where bytes lie: stores, caches, copies on this machine, chunks of other workers."""
