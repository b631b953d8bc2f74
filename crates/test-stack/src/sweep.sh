# shellcheck shell=sh
# Removes the containers of a test process once it has ended, however it ended, and what volumes came with them.
# Argument: the value of their label. Standard input is a pipe whose other end the test process holds.
exec 3<&0
(
  read -r _ <&3
  # Twice: the engine may still be making one when its caller dies.
  for _ in 1 2; do
    docker ps --all --quiet --filter "label=saga-sandbox.test=$1" | xargs -r docker rm --force --volumes
    sleep 1
  done
) </dev/null >/dev/null 2>&1 &
# This shell ends. What it leaves behind descends from nobody any more, so whoever kills the test with its children leaves it alone.
