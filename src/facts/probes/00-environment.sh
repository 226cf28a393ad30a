# The environment as the session gives it, before any of it is set for what follows.
first_environment=$(env)
# $1 here: the folder of local facts.
fact_path=$1
shift
