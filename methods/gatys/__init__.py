"""Style as statistics of a network's features: spectrograms optimised to have them (Gatys)."""
