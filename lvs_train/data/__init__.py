"""Training and test material: clips, class-paired photos and sounds, composites of them, and the drawn world."""
