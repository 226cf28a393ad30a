#!/bin/sh
echo "$# $1 $2"
basename "$(pwd)"
