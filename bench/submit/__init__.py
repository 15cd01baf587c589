"""`submit`: the shards of a run as tasks of Slurm, of Ray, or as processes of this machine."""
