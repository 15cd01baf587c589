"""Methods of this family that train nothing: edits of a content under a text or a sound."""
