#!/bin/sh
# Runs a command as a container would, short of an engine: ROOT is its whole file system, read-only but for /var/lib/tribo, with programs of this
# machine at /usr; it is user 1000 without capabilities and has a network of its own. Waits until the health check passes, stops the command by
# SIGTERM and ends with its exit code.
#   unshare --mount --net sh contain.sh ROOT ENVIRONMENT HEALTH_CHECK COMMAND...   (from the folder ROOT/srv/tribo; the second and third are files)
set -eu
root=$1 environment=$2 health=$3
shift 3
ip link set lo up
mkdir -p "$root/usr" "$root/dev" "$root/proc" "$root/etc"
for link in bin lib lib64; do [ -e "$root/$link" ] || ln -s "usr/$link" "$root/$link"; done
mount --bind "$root" "$root"
mount --rbind /usr "$root/usr"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o uid=1000,gid=1000,mode=0750 tmpfs "$root/var/lib/tribo"

# Becomes the command, so that its id is that of the command itself.
inside() {
  exec chroot "$root" /usr/bin/setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
    /usr/bin/env -i -C /srv/tribo $(cat "$environment") "$@"
}
(inside "$@") &
command=$!
tries=0
until (inside $(cat "$health")) 2>/dev/null; do
  kill -0 "$command" 2>/dev/null || { wait "$command" || code=$?; echo "it ended by itself with ${code:-0}" >&2; exit 70; }
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo "the health check never passed" >&2; kill -KILL "$command"; exit 71; }
  sleep 0.2
done
(inside sh -c '! touch /srv/tribo/x 2>/dev/null && ! touch /tmp/x 2>/dev/null && touch /var/lib/tribo/x') || { echo "not what may be written to" >&2; kill -KILL "$command"; exit 72; }
kill -TERM "$command"
wait "$command"
