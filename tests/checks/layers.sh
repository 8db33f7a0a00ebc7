#!/bin/sh
# The arrows between folders run one way, and each library is linked where it belongs only.
#   layers.sh BIN-FOLDER
cd "$(dirname -- "$0")/../.." || exit 1
bin=$1
status=0

complain() {
	echo "$1"
	status=1
}

includes() { # FOLDER FORBIDDEN-PATTERN
	found=$(grep -rnE "^#include \"($2)/" --include='*.[ch]' "$1" 2>/dev/null)
	[ -z "$found" ] || complain "$found
	is not allowed in $1"
}

includes msgs 'lib|broker|actors|cli'
includes lib/actor 'broker|actors|cli|lib/policy|lib/config'
includes lib/policy 'msgs|broker|actors|cli|lib/(actor|config|tree)'
includes lib/config 'broker|actors|cli|lib/actor'
includes broker 'actors|cli|lib/config'
includes cli 'broker|actors|lib/actor'
for actor in actors/*/; do
	name=$(basename "$actor")
	others=$(find actors -mindepth 1 -maxdepth 1 -type d ! -name "$name" | tr '\n' '|')
	includes "$actor" "broker|cli|${others%|}"
done

links() { # EXECUTABLE LIBRARY-PATTERN
	ldd "$bin/$1" 2>/dev/null | grep -qE "$2"
}

for path in "$bin"/lops "$bin"/lops-init "$bin"/lops-broker "$bin"/lops-*-manager "$bin"/lops-*-monitor \
	"$bin"/lops-coordinator; do
	name=$(basename "$path")
	[ -x "$path" ] || complain "$name was not built"
	[ "$name" = lops-broker ] || ! links "$name" libsqlite || complain "$name links sqlite"
	[ "$name" = lops-log-monitor ] || ! links "$name" libpcre2 || complain "$name links pcre2"
	case $name in
	lops | lops-init) ! links "$name" 'libzmq|libmsgpack' || complain "$name links ZeroMQ" ;;
	esac
done
links lops-init libyaml && complain "lops-init links libyaml"
exit "$status"
