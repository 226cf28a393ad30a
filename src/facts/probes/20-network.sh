
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
  ip -o addr show
  section routes
  ip -4 route show default
  section routes6
  # The kernel has one of its own, by lo. A long table is left to the program.
  count=0
  while read -r line rest; do
    count=$((count + 1))
    case "$line $rest" in
      "00000000000000000000000000000000 00 "*" lo") [ "$count" -ge 100 ] || continue ;;
      "00000000000000000000000000000000 00 "*) ;;
      *) [ "$count" -ge 100 ] || continue ;;
    esac
    ip -6 route show default
    break
  done </proc/net/ipv6_route
fi
if ! command -v ip >/dev/null; then
  section proc-route
  head -n 500 /proc/net/route
  section proc-fib-trie
  cat /proc/net/fib_trie
  section proc-if-inet6
  cat /proc/net/if_inet6
fi
