
section links
set +f
for link in /sys/class/net/*; do
  [ -r "$link/flags" ] || continue
  read_line "$link/flags"
  flags=$line
  read_line "$link/operstate"
  printf '%s %s %s\n' "${link##*/}" "$flags" "$line"
done
set -f

if command -v ip >/dev/null; then
  section addresses
  limit 5 ip -o addr show
  section routes
  limit 5 ip -4 route show default
  section routes6
  limit 5 ip -6 route show default
fi
if ! command -v ip >/dev/null; then
  section proc-route
  head -n 500 /proc/net/route
  section proc-fib-trie
  cat /proc/net/fib_trie
  section proc-if-inet6
  cat /proc/net/if_inet6
fi

section listening
grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6
section listening-processes
if command -v ss >/dev/null; then
  limit 5 ss -ltnp
else
  # Which process holds which socket: every file descriptor that is one, and the names of the processes.
  set +f
  section descriptors
  limit 5 ls -l /proc/[0-9]*/fd | grep -e '^/proc/' -e ' socket:'
  section process-names
  grep -H . /proc/[0-9]*/comm
  set -f
fi
