"""Music models that are run by pipelines of diffusers, as those ship: ACE-Step and Stable Audio."""
