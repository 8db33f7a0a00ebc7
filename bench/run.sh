#!/bin/sh
# Builds the release form, runs every benchmark and prints one table. Each folder of bench has a `run` of
# its own, called with the folder of the executables; it prints lines of the table, "what | figure | floor |
# ratio".
#
#   bench/run.sh [AREA...]
set -u
cd "$(dirname -- "$0")/.." || exit 1

deploy/packages.sh build || exit 1
mkdir -p build
if ! { cmake --preset release && ninja -C build/release -j "$(nproc)"; } >build/bench.build.log 2>&1; then
	tail -n 30 build/bench.build.log
	exit 1
fi
[ $# -gt 0 ] || set -- bench/*/run*
status=0
echo '| what | measured | floor in the same run | ratio |'
echo '| --- | --- | --- | --- |'
for area; do
	case $area in bench/*) ;; *) area=$(echo "bench/$area"/run*) ;; esac
	[ -x "$area" ] || continue
	"$area" build/release/bin || status=1
done
exit "$status"
