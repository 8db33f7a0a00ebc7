#!/bin/sh
# Runs a test as an ordinary user: as nobody when root runs the tests, else as whoever does. A clone in
# root's home is closed to nobody, so what is needed is laid where it can be read.
#
#   as_nobody.sh TEST BIN_DIR [ARGUMENT...]
[ "$(id -u)" = 0 ] || exec "$@"
test=$1 bin=$2
shift 2
top=$(mktemp -d) && chmod 755 "$top" && mkdir "$top/bin" &&
	cp -PR "$(dirname -- "$test")" "$top/tests" && cp -P "$bin"/lops* "$bin"/local-deploy "$top/bin" || exit 1
cd / || exit 1
setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp PYTHONDONTWRITEBYTECODE=1 \
	"$top/tests/$(basename -- "$test")" "$top/bin" "$@"
status=$?
rm -rf "$top"
exit $status
