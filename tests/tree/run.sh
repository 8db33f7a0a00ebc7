#!/bin/sh
# One mode of the tree's driver: short, or 2,000 faults with LOPS_TEST_FULL=1; as root, and as nobody where
# root runs it. usage: run.sh DRIVER CHILD BIN_DIR MODE FAULTS
faults=$5
[ -z "${LOPS_TEST_FULL:-}" ] || faults=2000
"$1" "$3" "$2" "$4" "$faults" 1 || exit 1
[ "$(id -u)" = 0 ] || exit 0
# Somebody else can't read a clone in root's home: what is needed is laid where he can.
top=$(mktemp -d) && chmod 755 "$top" && cp "$1" "$2" "$3/lops-init-marked" "$top" || exit 1
setpriv --reuid 65534 --regid 65534 --clear-groups \
	"$top/tree_driver" "$top" "$top/tree_child" "$4" "$((faults / 2))" 2
status=$?
rm -rf "$top"
exit $status
