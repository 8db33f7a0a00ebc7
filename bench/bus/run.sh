#!/bin/sh
# The broker alone against bare forwarding. usage: run.sh BIN_DIR [PAIRS]
bin=$1
top=$(mktemp -d)
mkdir -m 700 "$top/r" "$top/s"
LOPS_RUN_DIR=$top/r LOPS_STATE_DIR=$top/s "$bin/lops-broker" 2>"$top/log" &
broker=$!
trap 'kill $broker; wait $broker; rm -rf "$top"' EXIT
while [ ! -S "$top/r/bus" ]; do
	kill -0 $broker 2>/dev/null || exit 1
	sleep 0.05
done
"$bin/bus" "$top/r" "$top/s" "${2:-5}"
