"""`python -m rookery …`, for launchers that start modules: `torchrun -m rookery model train`."""

from rookery.cli.main import main

if __name__ == "__main__":
    main()
