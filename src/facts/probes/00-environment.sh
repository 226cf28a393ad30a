# The environment as the session gives it, before any of it is set for what follows.
first_environment=$(env)
