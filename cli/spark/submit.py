"""What `spark-submit` runs: `credit spark score` with the options behind it. `credit spark script` prints this path."""

import sys

_PREFIX = ["credit", "spark", "score"]

if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this script, whose modules are no top-level ones
    try:
        from cli.start import main
    except ImportError as error:
        sys.stderr.write(
            f"error: {sys.executable} cannot load credit-scoring ({error}). Set PYSPARK_PYTHON to the Python of the "
            "environment in which it is installed.\n"
        )
        sys.exit(2)
    sys.argv[:1] = _PREFIX
    main()
