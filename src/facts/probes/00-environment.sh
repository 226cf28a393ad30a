# The environment as the session gives it, before any of it is set for what follows.
first_environment=$(export -p)
# $1 here: the folder of local facts.
fact_path=$1
shift
