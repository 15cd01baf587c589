"""Music models run by the pipelines of diffusers, as those ship: ACE-Step, Stable Audio."""
