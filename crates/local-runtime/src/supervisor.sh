# shellcheck shell=sh
# Runs one program in a session of its own and writes its exit code to a file.
# Arguments: LOG EXIT_FILE FOLDER_TO_REMOVE DESCRIPTION PROGRAM [ARGUMENT]...
#   FOLDER_TO_REMOVE: "" for a program that outlives its starter. Otherwise standard input is a pipe whose
#   other end the starter holds: when the pipe closes, for whatever reason, the program is killed and the
#   folder is removed.
#   DESCRIPTION: not used here. A command that cannot read the process record reads EXIT_FILE and DESCRIPTION from
#   the arguments of this process.
# Prints the program's process id, then nothing more.
log=$1 exit_file=$2 remove=$3
shift 4
exec 2>>"$log"
"$@" </dev/null >>"$log" 2>&1 &
program=$!
if [ -n "$remove" ]; then
  exec 3<&0
  (
    read -r _ <&3
    # The supervisor is killed first: it would see the program end and then kill this watcher.
    kill -KILL "$$" "$program"
    # The file "outside" lists folders of this stack elsewhere, one a line. Another line is no folder of ours.
    outside=$(grep -x '/var/tmp/saga-sandbox-[0-9a-f]\{16\}' "$remove/outside" 2>/dev/null)
    # Other dying processes may still write into the folder, so the removal is repeated.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      # shellcheck disable=SC2086
      rm -rf "$remove" $outside && break
      sleep 0.2
    done
    kill -KILL 0
  ) >/dev/null 2>&1 &
  watcher=$!
  exec 3<&-
fi
echo "$program"
exec >/dev/null </dev/null
# Without the redirection, the shell's message on a kill ("Killed") would follow the program's last log line.
wait "$program" 2>/dev/null
code=$?
echo "$code" >"$exit_file.new" && mv "$exit_file.new" "$exit_file"
if [ -n "$remove" ]; then kill -KILL "$watcher" 2>/dev/null; fi
