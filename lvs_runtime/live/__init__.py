"""The live session and its pure parts: clock, ring, slot, pairing, statistics."""
