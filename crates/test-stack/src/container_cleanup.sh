# shellcheck shell=sh
# Removes the containers of a test process, with their volumes, after the process has ended for any reason.
# Argument: the value of the containers' label. Standard input is a pipe whose other end the test process holds.
exec 3<&0
(
  read -r _ <&3
  # Twice: the engine may still be creating a container when the test process dies.
  for _ in 1 2; do
    docker ps --all --quiet --filter "label=saga-sandbox.test=$1" | xargs -r docker rm --force --volumes
    sleep 1
  done
) </dev/null >/dev/null 2>&1 &
# This shell ends now. Its background process is then no descendant of the test process, so killing the test with
# all its descendants does not kill the cleanup.
