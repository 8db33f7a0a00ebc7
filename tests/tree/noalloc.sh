#!/bin/sh
# lops-init asks for no memory once it runs, through starts, ends and takeovers.
# usage: noalloc.sh DRIVER CHILD BIN_DIR LIBRARY
says=$(mktemp -u)
NOALLOC_SAYS=$says LD_PRELOAD=$4 "$1" "$3" "$2" kill 60 3 || exit 1
[ ! -e "$says" ] && exit 0
sort "$says" | uniq -c
rm -f "$says"
exit 1
