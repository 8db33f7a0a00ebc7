#!/bin/sh
# Hours of a set with faults. LOPS_TEST_FULL=1: ten seeds, a day each.
#   run.sh SIMULATOR [--hours N] [--seed S] [--seeds K]
simulator=$1
shift
if [ $# -gt 0 ]; then
	exec "$simulator" "$@"
elif [ "${LOPS_TEST_FULL:-0}" = 1 ]; then
	exec "$simulator" --hours 24 --seed 1000 --seeds 10
fi
exec "$simulator" --hours 2 --seed 1 --seeds 6
