# Reads the host and says what it saw, one section after the other. POSIX sh; changes nothing: no file is written
# (so no here-documents either, some shells keep those in /tmp), no service is woken, no kernel module is loaded.
# $1: programs to look for; $2: more systemd units to ask about; the rest: folders to look at.
LC_ALL=C
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# A folder that is there, holds no settings and in which nothing can be made.
DOCKER_CONFIG=/proc/sys
export LC_ALL PATH DOCKER_CONFIG
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY COMPOSE_FILE CDPATH ENV BASH_ENV
wanted_tools=$1
wanted_units=$2
links_are_said=
shift 2
exec </dev/null 2>/dev/null
set -f

# What is said is kept until the section is over, and then written at once. Before a program that speaks itself: flush.
line_break='
'
kept=
say() { kept=$kept$1$line_break; }
value() { kept=$kept$1=$2$line_break; }
flush() {
  [ -z "$kept" ] || printf %s "$kept"
  kept=
}
section() {
  printf '%s\n=kk= %s\n' "$kept" "$1"
  kept=
}
# The first line of a file as $line, without a process for it.
read_line() {
  line=
  [ -r "$1" ] && read -r line <"$1"
}

# A whole file, line by line, without a process for it.
show() {
  [ -r "$1" ] || return 1
  while IFS= read -r line || [ -n "$line" ]; do say "$line"; done <"$1"
}

section clock-start
date '+%s.%N %Y %m %d %H %M %S %Z %z %A %w %W'
