#!/bin/sh
# Runs a command and publishes what it prints, line by line, as it is printed. The topic
# ends complete or failed, as the command does; if this script is killed, truncated.
#
#   RIVULET_TOKEN=... publish.sh http://localhost:8787/topics/build-7 make test
#
# In a step of CI, whoever has the URL follows the build from the beginning, in real time.
set -eu
url=${1:?"Usage: publish.sh URL COMMAND..."}
shift
post() {
  curl --silent --show-error --fail --output /dev/null \
    ${RIVULET_TOKEN:+--header "Authorization: Bearer $RIVULET_TOKEN"} "$@"
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# One request for all: each line is an event at once.
{
  status=0
  "$@" 2>&1 || status=$?
  echo "$status" >"$folder/status"
} | sed -u 's/\r//g; s/^/data: /; a\\' |
  post --header 'Content-Type: text/event-stream' --header 'Expect:' \
    --upload-file - --request POST "$url"
status=$(cat "$folder/status")
if [ "$status" = 0 ]; then
  end='{"status": "complete"}'
else
  end='{"status": "failed", "reason": "The command exited with '$status'"}'
fi
post --header 'Content-Type: application/json' --data "$end" "$url/end"
exit "$status"
