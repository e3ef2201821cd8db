#!/bin/sh
# The stream without a broker of your own: the embedded one, which is at-least-once. Every line can be typed by you.
set -eu
run() { printf '\n$ credit %s\n' "$*"; credit "$@"; }

if [ ! -e demo/bundles/current ]; then
    printf 'The demo of the batch door comes first: it trains a model.\n'
    credit demo >demo.log 2>&1 || { cat demo.log; exit 1; }
    rm demo.log
fi
printf '\n$ credit stream embedded &\n'
rm -f demo/address
mkfifo demo/address
credit stream embedded >demo/address &
embedded=$!
trap 'kill $embedded; rm -f demo/address' EXIT
read -r brokers <demo/address
export CREDIT_STREAM_BROKERS="$brokers" CREDIT_STREAM_DELIVERY=at-least-once
printf 'export CREDIT_STREAM_BROKERS=%s CREDIT_STREAM_DELIVERY=at-least-once\n' "$brokers"

head -n 301 demo/tonight/applications.csv >demo/tonight/some.csv
run stream publish --applications demo/tonight/some.csv --events demo/tonight/events.csv --topic credit.applications
run stream run --bundle demo/bundles/current --stop-when-idle 2
run stream decisions --limit 3
run stream dead-letters list
