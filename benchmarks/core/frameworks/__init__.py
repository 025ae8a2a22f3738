"""Each framework's own way to build and step a case: `build(case, x, y)` gives `step(n)`."""
