#!/usr/bin/env bash
# Runs a command beside a real rpcbind and a real rpc.statd, in namespaces of their own: nothing of the host is touched, and
# nothing is left over. Needs root, rpcbind and nfs-common. The host is 127.0.0.1, 10.77.0.10 and 10.77.0.21.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
if [ "${1:-}" != --inside ]; then
    exec unshare --net --mount --pid --fork --kill-child "$0" --inside "$@"
fi
shift
mount -t tmpfs none /run
mount -t tmpfs none /var/lib/nfs
mkdir -p /run/rpcbind /var/lib/nfs/sm /var/lib/nfs/sm.bak
chown -R statd /var/lib/nfs
ip link set lo up
ip address add 10.77.0.10/32 dev lo
ip address add 10.77.0.21/32 dev lo
rpcbind -f >&2 &
for _ in $(seq 50); do [ -S /run/rpcbind.sock ] && break; sleep 0.1; done
rpc.statd -F --no-notify >&2 &
for _ in $(seq 50); do rpcinfo -u 127.0.0.1 status 1 >/dev/null 2>&1 && break; sleep 0.1; done
rpcinfo -u 127.0.0.1 status 1 >/dev/null || { echo "rpcbind or rpc.statd did not start" >&2; exit 77; }
"$@"
