"""A public test set, scored to the letter, with what any score must be held against: the same model without its ears.

maps     one similarity map a clip: its own sound, mean sound, another clip's, silence, noise
scores   every figure of lvs_runtime.metrics, with intervals, tables by class and size, gains over the controls
report   the same for people
sheet    pictures: image | annotation | map | rivals
"""
