#!/bin/sh
# Start a standalone Apache Spark on loopback from the pip package: a master and two workers of one core and 1 GB each.
# Ctrl-C ends all of them. SPARK_PORTS: six, of the master, its page, then worker and page twice; SPARK_DATA: where
# workers and logs are kept; PYTHON: the Python in whose environment pyspark is installed.
set -eu
data=${SPARK_DATA:-.spark} python=${PYTHON:-python3}
SPARK_HOME=$("$python" -c 'import pyspark; print(pyspark.__path__[0])')
export SPARK_HOME SPARK_LOCAL_IP=127.0.0.1 SPARK_DAEMON_MEMORY=256m
export SPARK_DAEMON_JAVA_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
# shellcheck disable=SC2086
set -- ${SPARK_PORTS:-7077 7078 7079 7080 7081 7082}
mkdir -p "$data"
data=$(realpath "$data") master=$1 processes=

start() {
    name=$1 class=$2
    shift 2
    "$SPARK_HOME/bin/spark-class" "org.apache.spark.deploy.$class" --host 127.0.0.1 "$@" >"$data/$name.log" 2>&1 &
    processes="$processes $!"
    echo "$name: process $!, log $data/$name.log"
}

end() {
    trap - EXIT INT TERM
    kill $processes 2>/dev/null || true # a worker ends its executors
    wait
}

trap end EXIT
trap 'exit 130' INT TERM
start master master.Master --port "$master" --webui-port "$2"
shift 2
for i in 1 2; do
    start "worker-$i" worker.Worker --port "$1" --webui-port "$2" --cores 1 --memory 1g \
        --work-dir "$data/worker-$i" "spark://127.0.0.1:$master"
    shift 2
done
echo "master: spark://127.0.0.1:$master"
wait
