#!/bin/sh
# A configuration file means "serve it"; so does a bare subcommand's name. Anything else is a command to run.
set -e
case "$1" in
  *.yaml | *.yml) set -- registry serve "$@" ;;
  serve | garbage-collect | help | -*) set -- registry "$@" ;;
esac
exec "$@"
