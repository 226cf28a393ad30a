# Tries to connect to each address and port given, all at once, 3 seconds each, with whatever program the host has.
# POSIX sh; sends nothing, writes no file. Says `=peer= NUMBER STATUS WORDS` for each.
LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
exec </dev/null 2>/dev/null
unset ENV BASH_ENV

if timeout -s KILL 5 true; then
  limit() { timeout -s KILL 4 "$@"; }
elif timeout -t 5 -s KILL true; then
  limit() { timeout -t 4 -s KILL "$@"; }
else
  limit() {
    "$@" &
    limit_child=$!
    (
      sleep 4
      kill -9 "$limit_child"
    ) >/dev/null 2>&1 &
    limit_watch=$!
    wait "$limit_child"
    limit_status=$?
    kill "$limit_watch"
    return "$limit_status"
  }
fi

by_bash() {
  # The inner limit makes a dropped packet look the same as with the other programs.
  # shellcheck disable=SC2016
  limit bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2"
}
by_python() {
  limit python3 -B -E -c 'import socket,sys
try:
    socket.create_connection((sys.argv[1],int(sys.argv[2])),3).close()
except Exception as error:
    sys.exit(str(error))' "$1" "$2"
}
by_perl() {
  limit perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr=>$ARGV[0],PeerPort=>$ARGV[1],Proto=>"tcp",Timeout=>3) or die "$@ $!"' "$1" "$2"
}
by_curl() {
  # Prints how long connecting took; 0 means that it never happened.
  connected=$(limit curl -sSv --noproxy '*' --connect-timeout 3 -m 3 -o /dev/null -w '=%{time_connect}=' "telnet://$3:$2" 2>&1)
  curl_status=$?
  case $connected in *=*[1-9]*=*) return 0 ;; esac
  printf '%s' "$connected"
  return "$curl_status"
}
by_nc() {
  # Some know neither -z nor -v.
  nc_said=$(limit nc -z -v -w 3 "$1" "$2" 2>&1 >/dev/null)
  nc_status=$?
  case $nc_said in
    *nvalid\ option* | *nrecognized\ option* | *[Uu]sage*)
      nc_said=$(limit nc -w 3 "$1" "$2" 2>&1 >/dev/null)
      nc_status=$?
      ;;
  esac
  printf '%s' "$nc_said"
  return "$nc_status"
}

tool=
if command -v bash >/dev/null && case $(bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>&1) in *refused*) true ;; *) false ;; esac then
  tool=bash
else
  for name in python3 perl curl nc; do
    case $name in perl) perl -MIO::Socket::INET -e 1 || continue ;; *) command -v "$name" >/dev/null || continue ;; esac
    tool=$name
    break
  done
fi

try() {
  case $2 in *:*) bracketed="[$2]" ;; *) bracketed=$2 ;; esac
  case $tool in
    bash) said=$(by_bash "$2" "$3" 2>&1) ;;
    python3) said=$(by_python "$2" "$3" 2>&1) ;;
    perl) said=$(by_perl "$2" "$3" 2>&1) ;;
    curl) said=$(by_curl "$2" "$3" "$bracketed" 2>&1) ;;
    nc) said=$(by_nc "$2" "$3") ;;
    *)
      printf '=peer= %s tool\n' "$1"
      return
      ;;
  esac
  status=$?
  said=$(printf '%s' "$said" | tr '\n' ' ')
  printf '=peer= %s %s %s\n' "$1" "$status" "$said"
}

number=0
running=0
while [ "$#" -ge 2 ]; do
  number=$((number + 1))
  try "$number" "$1" "$2" &
  shift 2
  running=$((running + 1))
  if [ "$running" -ge 64 ]; then
    wait
    running=0
  fi
done
wait
