kk_mark=$1 kk_script_1=$2
kk_break='
'
(set -- /proc/self/task/*; PATH=/proc/self; printf '' && [ "${1##*/}" != "$$" ]) 2>/dev/null || exit 1
exec 8<<KK
-
KK
kk_line=
read -r kk_line 2>/dev/null </proc/self/stat
set -- ${kk_line##*) }
kk_group=$3 kk_parent=$2
printf '%s.0=%s-%s:' "$kk_mark" "$$" "${20}"
kk_older=
trap : HUP INT QUIT TERM ALRM USR1 USR2
kk_step='kk_lock=$1/step.lock
shift
if [ -r "$kk_lock" ] && command -v flock >/dev/null 2>&1; then
  exec 9<"$kk_lock"
  flock -s 9
  (eval "$kk_script") 9<&-
  exit
fi
'
kk_take() {
  kk_text=
  case $1 in
    -) ;;
    0)
      IFS= read -r kk_line || exit
      kk_text=$(printf %b "$kk_line")
      ;;
    *)
      kk_left=$1
      while [ "$kk_left" -gt 0 ]; do
        IFS= read -r kk_line || exit
        kk_text=$kk_text$kk_line$kk_break
        kk_left=$((kk_left - 1))
      done
      ;;
  esac
}
kk_holds() {
  for kk_try in 1 2 3 4 5; do
    [ -e "/proc/$1" ] || return 1
    kk_line=
    read -r kk_line 2>/dev/null <"/proc/$1/stat"
    case $kk_line in
      '') ;;
      *") "*)
        set -- "$1" ${kk_line##*) }
        [ "$2" != Z ] && [ "$3" != "$$" ] || return 1
        [ "$4" != "$kk_group" ] || return 0
        ;;
      *) return 0 ;;
    esac
    kk_moved=
    for kk_file in "/proc/$1/fd"/*; do
      if [ -e "$kk_file" ]; then
        [ "$kk_file" -ef /proc/self/fd/1 ] || [ "$kk_file" -ef /proc/self/fd/2 ] || continue
        return 0
      fi
      case $kk_file in */\*) [ ! -r "/proc/$1/fd" ] || continue ;; esac
      kk_moved=yes
    done
    [ -n "$kk_moved" ] || return 1
  done
  [ -e "/proc/$1" ]
}
kk_climb() {
  kk_above= kk_older=" $$ "
  if [ -r "/proc/$$/task/$$/children" ]; then
    while [ "${kk_parent:-0}" != 0 ]; do
      kk_line=
      read -r kk_line 2>/dev/null <"/proc/$kk_parent/stat"
      set -- $kk_parent ${kk_line##*) }
      kk_older="$kk_older $1 "
      kk_parent=$3
      case $kk_parent/$kk_line in
        [1-9]*/"$1 (sshd"*) ;;
        *) kk_above="$kk_above $1" ;;
      esac
    done
    [ "$kk_parent" = 0 ] || kk_above=
  fi
}
kk_children() {
  kk_seen=-
  for kk_try in 1 2 3 4 5; do
    kk_line=
    read -r kk_line 2>/dev/null <"/proc/$1/task/$1/children"
    [ "$kk_line" != "$kk_seen" ] || return 0
    kk_seen=$kk_line
  done
  return 1
}
kk_held() {
  [ /proc/self/fd/1 -ef /proc/self/fd/1 ] && [ -r /proc/1/stat ] || return 0
  case $kk_last/$kk_self in *[!0-9/]* | /* | */) return 0 ;; esac
  kk_many=$((kk_self - kk_last))
  if [ "$kk_many" -gt 0 ] && { [ "$kk_many" -lt 8 ] || [ -z "$kk_above" ] && [ "$kk_many" -lt 1024 ]; }; then
    while kk_last=$((kk_last + 1)) && [ "$kk_last" -lt "$kk_self" ]; do
      [ ! -e "/proc/$kk_last" ] || ! kk_holds "$kk_last" || return 0
    done
    return 1
  fi
  [ -n "$kk_above" ] && [ "$kk_many" -lt 8192 ] && { [ "$kk_many" -gt 0 ] || [ "$kk_self" -lt 8192 ]; } || return 0
  kk_parents=$kk_above
  while [ -n "$kk_parents" ]; do
    kk_processes=
    for kk_parent in $kk_parents; do
      kk_children "$kk_parent" || return 0
      for kk_process in $kk_line; do
        if [ "$kk_many" -gt 0 ]; then
          [ "$kk_process" -gt "$kk_last" ] && [ "$kk_process" -lt "$kk_self" ] || continue
        else
          [ "$kk_process" -gt "$kk_last" ] || [ "$kk_process" -lt "$kk_self" ] || continue
          case $kk_older in *" $kk_process "*) continue ;; esac
        fi
        ! kk_holds "$kk_process" || return 0
        kk_processes="$kk_processes $kk_process"
      done
    done
    kk_parents=$kk_processes
  done
  return 1
}
kk_stale() {
  for kk_file in "$HOME/.bashrc" "$HOME/.zshenv" "$HOME/.cshrc" "$HOME/.tcshrc" "$HOME/.ssh/rc" "$HOME/.ssh/environment" \
    "$HOME/.config/fish/config.fish" "$HOME/.config/fish/conf.d" /etc/bash.bashrc /etc/bashrc /etc/zshenv /etc/zsh/zshenv \
    /etc/csh.cshrc /etc/ssh/sshrc /etc/environment; do
    [ ! -e "$kk_file" ] || [ /proc/self/fd/8 -nt "$kk_file" ] || return 0
  done
  return 1
}
kk_ready() {
  kk_self= kk_used=
  case $kk_check in
    *[hs]*)
      set -- /proc/self/task/*
      kk_self=${1##*/}
      ;;
  esac
  case $kk_check in *h*) ! kk_held || kk_used=yes ;; esac
  case $kk_check in *r*) ! kk_stale || kk_used=yes ;; esac
  if [ -n "$kk_used" ]; then
    printf '%s.%s!' "$kk_mark" "$kk_number"
    exit
  fi
  exec 8<&-
  printf '%s.%s?%s:' "$kk_mark" "$kk_number" "$kk_self"
}
while read -r kk_number kk_check kk_last kk_name kk_lines kk_words kk_feed; do
  case $kk_check/$kk_older in *h*/) kk_climb ;; esac
  kk_take "$kk_lines"
  case $kk_name/$kk_lines in
    0/*) kk_script=$kk_text ;;
    */-) eval "kk_script=\$kk_script_$kk_name" ;;
    *)
      kk_script=$kk_text
      eval "kk_script_$kk_name=\$kk_text"
      ;;
  esac
  kk_take "$kk_words"
  kk_words=$kk_text
  case $kk_check in *l*) kk_words=$kk_words$kk_break$kk_step ;; esac
  kk_line=
  [ "$kk_feed" = 0 ] || IFS= read -r kk_line || exit
  if [ "$kk_feed" = 0 ]; then
    (kk_ready; eval "set --$kk_break$kk_words$kk_break$kk_script") </dev/null
  else
    printf %b "$kk_line" 2>/dev/null | (kk_ready; unset kk_line; eval "set --$kk_break$kk_words$kk_break$kk_script")
  fi
  printf '%s.%s=%s:' "$kk_mark" "$kk_number" "$?"
  printf '%s.%s:' "$kk_mark" "$kk_number" >&2
done
