
section links
set +f
for link in /sys/class/net/*; do
  [ -r "$link/flags" ] || continue
  printf '%s %s %s\n' "${link##*/}" "$(first_line "$link/flags")" "$(first_line "$link/operstate")"
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
section proc-route
head -n 500 /proc/net/route
section proc-fib-trie
command -v ip >/dev/null || cat /proc/net/fib_trie
section proc-if-inet6
command -v ip >/dev/null || cat /proc/net/if_inet6

section listening
cat /proc/net/tcp /proc/net/tcp6 | grep ' 0A '
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
