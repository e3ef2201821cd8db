#!/bin/sh
# Applications without their events, on the embedded broker: account events have a topic of their own, some come late.
set -eu
run() { printf '\n$ credit %s\n' "$*"; credit "$@"; }
say() { printf '\n# %s\n' "$*"; }

if [ ! -e demo/bundles/current ]; then
    printf 'The demo of the batch door comes first: it trains a model.\n'
    credit demo >demo.log 2>&1 || { cat demo.log; exit 1; }
    rm demo.log
fi
live=demo/live
rm -rf "$live" # of an earlier run
mkdir -p "$live"
printf '\n$ credit stream embedded &\n'
mkfifo "$live/address"
credit stream embedded >"$live/address" &
embedded=$! consumer=
trap 'kill $embedded $consumer 2>"$live/ended" || true' EXIT
read -r brokers <"$live/address"
rm "$live/address" # a copy of this folder must not meet a pipe
export CREDIT_STREAM_BROKERS="$brokers" CREDIT_STREAM_DELIVERY=at-least-once
printf 'export CREDIT_STREAM_BROKERS=%s CREDIT_STREAM_DELIVERY=at-least-once\n' "$brokers"

head -n 301 demo/tonight/applications.csv >"$live/applications.csv"
awk 'NR == 1 || NR % 150' demo/tonight/events.csv >"$live/events.csv"
awk 'NR == 1 || NR % 150 == 0' demo/tonight/events.csv >"$live/late.csv"

say 'One topic of account events, which a consumer keeps in a history store.'
run history init --spec demo/train/spec.toml --store "$live/history"
run history publish "$live/events.csv"
run history consume --store "$live/history" --stop-when-idle 1 2>"$live/first-fill.log"
printf '\n$ credit history consume --store %s/history &\n' "$live"
credit history consume --store "$live/history" >"$live/consume.log" 2>&1 &
consumer=$!

say 'One topic of applications, which bring no events: the worker takes them from the store.'
run stream publish --applications "$live/applications.csv" --without-events
run stream run --bundle demo/bundles/current --history "$live/history" --history-max-age 300 --receipts credit.receipts --stop-when-idle 2
run stream decisions --limit 2

say 'Some events come only now. A batch of tonight has them, the decisions of before had not.'
run history publish "$live/late.csv"
run log consume --log "$live/log" --bundles demo/bundles --stop-when-idle 2
sleep 1
kill "$consumer" && wait "$consumer" || true
consumer=

say 'Each difference between last night'"'"'s batch and the live decisions has a name.'
run history reconcile "$live/log" --store "$live/history" --bundles demo/bundles
