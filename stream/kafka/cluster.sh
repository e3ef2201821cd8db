#!/bin/sh
# Start three nodes of Apache Kafka on loopback, three copies of everything, two of them in sync; Ctrl-C ends all of them.
# `cluster.sh 2` starts node 2 alone, as after `kill -9` of it. KAFKA_PORT: the first of three; the controllers' are 10 on.
# All ports lie below those that the system gives to connections, one of which may else take that of a node that is away.
set -eu
here=$(dirname "$0") port=${KAFKA_PORT:-19092} data=${KAFKA_DATA:-.kafka/cluster}
mkdir -p "$data"

node() {
    export KAFKA_NODE="$1" KAFKA_PORT=$((port + $1 - 1)) KAFKA_CONTROLLER_PORT=$((port + $1 + 9)) KAFKA_COPIES=3
    export KAFKA_VOTERS="1@127.0.0.1:$((port + 10)),2@127.0.0.1:$((port + 11)),3@127.0.0.1:$((port + 12))"
    export KAFKA_DATA="$data/$1" KAFKA_CLUSTER_ID=credit-scoring-3-nodes KAFKA_EXTRA="$here/cluster.properties"
    exec "$here/start.sh"
}

end() {
    trap - EXIT INT TERM
    kill $nodes 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 $nodes 2>/dev/null || break
        sleep 0.5
    done
    kill -9 $nodes 2>/dev/null || true # without a majority the last ones wait for minutes to be told that they may end
    wait
}

if [ $# -gt 0 ]; then node "$1"; fi
nodes=
trap end EXIT
trap 'exit 130' INT TERM
for i in 1 2 3; do
    (trap - EXIT INT TERM; node $i) >"$data/$i.log" 2>&1 &
    nodes="$nodes $!"
    echo "node $i: process $!, 127.0.0.1:$((port + i - 1)), data and log in $data/$i"
    if [ $i = 1 ]; then # it fetches the jars, if they are not there
        until ls "${KAFKA_LIB:-.kafka/lib${KAFKA_VERSION:+-$KAFKA_VERSION}}"/kafka_*.jar >/dev/null 2>&1; do
            kill -0 $nodes && sleep 0.2
        done
    fi
done
echo "brokers: 127.0.0.1:$port,127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2))"
wait
