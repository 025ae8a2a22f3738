"""How good models are with default settings: Chainrule, scikit-learn and PyTorch."""
