
if [ -z "$links_are_said" ]; then
  section links
  set +f
  for link in /sys/class/net/*; do
    [ -r "$link/flags" ] || continue
    read_line "$link/flags"
    flags=$line
    read_line "$link/operstate"
    say "${link##*/} $flags $line"
  done
  set -f
fi

if command -v ip >/dev/null; then
  section ip
  if ! printf '%s\n' 'addr show' 'route show default table all' | ip -o -batch -; then
    # One that cannot do several things at once.
    section addresses
    ip -o addr show
    section routes
    ip -4 route show default
    section routes6
    ip -6 route show default
  fi
fi
if ! command -v ip >/dev/null; then
  section proc-route
  head -n 500 /proc/net/route
  section proc-fib-trie
  cat /proc/net/fib_trie
  section proc-if-inet6
  cat /proc/net/if_inet6
fi
