"""Training and evaluation of the dual ResNet18 with the tri-map loss (needs torch: `pip install lvs[train]`)."""
