#!/bin/sh
# The whole product on synthetic data, in the order of its life. Every line is a command that you can type yourself.
set -eu
run() { printf '\n$ credit %s\n' "$*"; credit "$@"; }

rm -rf demo
run dataset synthetic --customers 5000 --seed 1 --out demo/train
run dataset synthetic --customers 1000 --seed 2 --format csv --out demo/tonight
run train demo/train --bundles demo/bundles | tee demo/train.log
run bundle promote "$(tail -n 1 demo/train.log)" --as current
run bundle verify demo/bundles/current
run score --bundle demo/bundles/current --applications demo/tonight/applications.csv \
    --events demo/tonight/events.csv --out demo/decisions.csv --log demo/log --receipts full
run log verify demo/log
run replay demo/log --bundles demo/bundles
run evaluate --decisions demo/decisions.csv --labels demo/tonight/labels.csv --bundle demo/bundles/current
run explain --bundle demo/bundles/current --applications demo/tonight/applications.csv \
    --events demo/tonight/events.csv --application-id A2-0000000

printf '\nThe first dirty applications as they came, and the decisions on them:\n'
grep -E '_|-500|!@' demo/tonight/applications.csv | head -n 3
printf '...\n'
head -n 4 demo/decisions.csv | cut -d, -f2-9
printf '\nEverything lies in demo/: train/ (data and spec.toml), bundles/, tonight/, log/, decisions.csv and what is beside it.\n'
