#!/bin/sh
echo "$1"
echo e >&2
[ "$1" != 3 ] || exit 3
