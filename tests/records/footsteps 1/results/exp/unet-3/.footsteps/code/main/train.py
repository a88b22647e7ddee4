import footsteps
