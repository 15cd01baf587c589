"""MusicNN: a network that was trained to tag recorded music, as a second judge of style."""
