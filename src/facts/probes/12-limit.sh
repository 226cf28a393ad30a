# limit SECONDS COMMAND...: ends a command that hangs, also where there is no timeout program. How is looked at when it is
# first needed, or before.
limit() {
  choose_limit
  limit "$@"
}
choose_limit() {
  if timeout -s KILL 5 true; then
    limit() { timeout -s KILL "$@"; }
  elif timeout -t 5 -s KILL true; then
    limit() {
      limit_seconds=$1
      shift
      timeout -t "$limit_seconds" -s KILL "$@"
    }
  else
    limit() {
      limit_seconds=$1
      shift
      "$@" &
      limit_child=$!
      (
        sleep "$limit_seconds"
        kill -9 "$limit_child"
      ) >/dev/null &
      limit_watch=$!
      wait "$limit_child"
      limit_status=$?
      kill "$limit_watch"
      return "$limit_status"
    }
  fi
}
