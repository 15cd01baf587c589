"""AudioLDM 2 behind the edits of this family: the model that their papers measured them on."""
