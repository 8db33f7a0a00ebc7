#!/bin/sh
# The same seed gives the same run, step by step; another seed gives another one.
#   same_trace.sh SIMULATOR
trace() {
	"$1" --hours 1 --seed "$2" | sed -n 's/.*trace \([0-9a-f]*\).*/\1/p'
}
first=$(trace "$1" 7)
again=$(trace "$1" 7)
other=$(trace "$1" 8)
echo "seed 7: $first, again: $again; seed 8: $other"
[ -n "$first" ] && [ "$first" = "$again" ] && [ "$first" != "$other" ]
