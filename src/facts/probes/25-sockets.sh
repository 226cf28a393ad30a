choose_limit

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
