#!/bin/sh
# lops-init asks for no memory once it runs, through starts, ends and takeovers.
# usage: noalloc.sh DRIVER CHILD BIN_DIR LIBRARY
says=$(mktemp)
NOALLOC_SAYS=$says LD_PRELOAD=$4 "$1" "$3" "$2" kill 60 3 && grep -qx watching "$says" && ! grep -vx watching "$says"
status=$?
rm -f "$says"
exit $status
