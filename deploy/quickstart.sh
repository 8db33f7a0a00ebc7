#!/bin/sh
# From a clean clone to three programs under supervision: installs missing packages, builds the release
# form, brings a set up and shows nginx, redis-server and a python http.server being started, listed,
# inspected, restarted and stopped. The set stays up afterwards and says how to stop it.
#
#   deploy/quickstart.sh [--stop-after]
#
# The set lives in build/quickstart, apart from any other set, unless LOPS_RUN_DIR or LOPS_STATE_DIR
# say otherwise. The system's own nginx and redis services are left alone.
set -eu
cd "$(dirname -- "$0")/.."
stop_after=${1:-}

deploy/packages.sh demo
echo "building ..."
mkdir -p build
cmake --preset release >build/release.configure.log
ninja -C build/release -j "$(nproc)" >build/release.build.log || {
	tail -n 30 build/release.build.log
	exit 1
}

demo=$PWD/build/quickstart
mkdir -p "$demo/nginx" "$demo/redis" "$demo/www"
PATH=$PWD/build/release/bin:$PATH:/usr/sbin
LOPS_STATE_DIR=${LOPS_STATE_DIR:-$demo/state}
# A socket's path has room for a hundred bytes only, a clone may lie deeper.
LOPS_RUN_DIR=${LOPS_RUN_DIR:-/tmp/lops-quickstart-$(id -u)}
export PATH LOPS_STATE_DIR LOPS_RUN_DIR

show() {
	printf '\n$ %s\n' "$*"
	"$@"
}

# A set that is to outlive this script must not read its terminal.
show lops-launch up

cat >"$demo/nginx/nginx.conf.in" <<END
daemon off;
pid $demo/nginx/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path $demo/nginx/body;
	proxy_temp_path $demo/nginx/proxy;
	fastcgi_temp_path $demo/nginx/fastcgi;
	uwsgi_temp_path $demo/nginx/uwsgi;
	scgi_temp_path $demo/nginx/scgi;
	server {
		listen 127.0.0.1:PORT;
		location / { return 200 "nginx under lops\n"; }
	}
}
END
echo "served under lops" >"$demo/www/index.html"

for name in nginx redis web; do
	if lops status "$name" >/dev/null 2>&1 || [ $? != 4 ]; then
		lops delete "$name" --force --yes >/dev/null
	fi
done

# nginx reads its port from its file, so that file is made for the port that was found free.
nginx_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed "s/PORT/$nginx_port/" "$demo/nginx/nginx.conf.in" >"$demo/nginx/nginx.conf"

show lops start --name nginx --port "$nginx_port" --no-auto-find-port -- \
	nginx -p "$demo/nginx" -c "$demo/nginx/nginx.conf"
show lops start --name redis --port 6379 -d "$demo/redis" -- \
	redis-server --port '{{port}}' --save '' --bind 127.0.0.1
show lops start --name web --port 8000 -d "$demo/www" -- \
	python3 -m http.server '{{port}}' --bind 127.0.0.1
show lops list
show lops status web

port=$(lops status web --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["process"]["port"])')
show curl -sS --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/"
show curl -sS --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$nginx_port/"
show lops restart redis
show lops stop web
show lops list
show lops start web
show lops logs redis -n 3
show lops-launch status

if [ "$stop_after" = --stop-after ]; then
	show lops-launch down
	exit
fi
cat <<END

The set is up and stays up. To look at it, and to stop it with all its programs:
  export LOPS_RUN_DIR=$LOPS_RUN_DIR LOPS_STATE_DIR=$LOPS_STATE_DIR
  build/release/bin/lops list
  build/release/bin/lops-launch down
END
