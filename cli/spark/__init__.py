"""`credit spark`: the nightly batch on an Apache Spark cluster."""
