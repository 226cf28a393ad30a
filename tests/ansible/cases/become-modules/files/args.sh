#!/bin/sh
echo "$(id -un) $*" >"$KK_MADE"
