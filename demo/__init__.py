"""The synthetic demo corpus: talking heads with known labels, speech, expression, pose and gaze."""
