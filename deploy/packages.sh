#!/bin/sh
# Installs the Debian packages that lops is built with (build), shown with (demo), or tested with
# (test), as far as they are missing. Needs root or sudo only when something is missing.
set -u

build='cmake ninja-build pkg-config gcc libc6-dev libzmq3-dev libmsgpack-dev libyaml-dev libsqlite3-dev libpcre2-dev'
demo='nginx-light redis-server python3 curl'
test="git clang clang-format shellcheck libcmocka-dev python3-zmq python3-msgpack sqlite3 jq strace procps util-linux"

case ${1:-build} in
build) wanted=$build ;;
demo) wanted="$build $demo" ;;
test) wanted="$build $demo $test" ;;
*)
	echo "usage: packages.sh build|demo|test" >&2
	exit 2
	;;
esac

is_there() {
	case $1 in
	nginx-light) command -v nginx || [ -x /usr/sbin/nginx ] ;;
	redis-server) command -v redis-server ;;
	*) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep '^install ok installed' ;;
	esac >/dev/null 2>&1
}

missing=''
for package in $wanted; do
	is_there "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=''
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
		echo "packages missing:$missing" >&2
		echo "install them with: apt-get install$missing" >&2
		exit 1
	fi
fi
echo "installing$missing"
# RUNLEVEL=1: the system's own nginx and redis are not to be started by being installed.
# shellcheck disable=SC2086
{
	$as_root apt-get update -qq
	$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -qq --no-install-recommends $missing </dev/null
} >/dev/null || {
	echo "apt-get could not install$missing" >&2
	exit 1
}
