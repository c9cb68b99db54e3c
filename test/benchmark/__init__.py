"""What calls cost, against what users would have written themselves. `make bench` runs it; `docs/performance.md` says
what is measured and why so."""
