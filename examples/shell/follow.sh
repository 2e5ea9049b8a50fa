#!/bin/sh
# Follows a topic with curl alone, and comes back where it was when the connection breaks.
#
#   RIVULET_TOKEN=... follow.sh http://localhost:8787/topics/news
#
# Prints the data of each event. Exits with 0 if the topic is complete, and with 1 if it
# ended otherwise.
set -eu
url=${1:?"Usage: follow.sh URL"}
position=start
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
while :; do
  # In a file for each try: what curl says of the answer, and where the stream came to.
  : >"$folder/head"
  printf '%s' "$position" >"$folder/position"
  curl --silent --no-buffer --get --data-urlencode "after=$position" \
    --dump-header "$folder/head" --header 'Accept: text/event-stream' \
    ${RIVULET_TOKEN:+--header "Authorization: Bearer $RIVULET_TOKEN"} \
    --speed-limit 1 --speed-time 45 "$url" |
    while IFS= read -r line; do
      case $line in
        'event: '*) event=${line#event: } ;;
        'id: '*) printf '%s' "${line#id: }" >"$folder/position" ;;
        'data: '* | 'data:')
          data=${line#data:}
          data=${data# }
          case ${event:-message} in
            rivulet.end) printf '%s' "$data" >"$folder/end" ;;
            rivulet.gap) echo "Missing events: $data" >&2 ;;
            rivulet.*) ;;
            *) printf '%s\n' "$data" ;;
          esac
          ;;
        '') event= ;;
      esac
    done || true
  position=$(cat "$folder/position")
  if [ -s "$folder/end" ]; then
    end=$(cat "$folder/end")
    echo "The topic has ended: $end" >&2
    case $end in *'"status":"complete"'*) exit 0 ;; *) exit 1 ;; esac
  fi
  case $(head -n 1 "$folder/head") in
    *' 204'*) exit 0 ;; # nothing comes after this position
    *' 4'[0-9][0-8]*) echo "Refused: $(head -n 1 "$folder/head")" >&2 && exit 1 ;;
  esac
  echo 'Connecting again' >&2
  sleep 1
done
