"""Place, save, read, draw and export one order: a minute that touches each dependency.

``make smoke`` runs this with the lowest and with the highest versions that pyproject.toml allows.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.metadata import requires, version
from pathlib import Path


def main() -> None:
    """Do what a user does on the first day, and say with which versions."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIRMLY_NB_HOME"] = folder
        import firmly_nb as fnb
        from firmly_nb import doctor

        home = Path(folder)
        order = fnb.Order.example()
        with fnb.connect(profile="instant") as lab:
            rec = lab.place(order, progress=False)
            assert rec.order_exists == "yes", rec
            recs = lab.sweep(order, count=30, concurrency=5)
            form = fnb.OrderForm(lab)
            assert form.lab is lab
        recs.save(home / "set")
        loaded = fnb.load(home / "set")
        assert len(loaded) == 30
        assert "order" in repr(loaded.latency())
        assert loaded.checks is not None
        assert loaded.sql("select count(*) as n from orders")["n"].tolist() == [30]
        for file_format in ("parquet", "csv", "xlsx", "jsonl"):
            loaded.export(home / file_format, file_format)
        loaded.har(home / "orders.har")
        assert len(loaded.charts.ecdf().data)
        fnb.report(loaded, home / "report.html", pictures=False)
        assert fnb.Timeline(rec) is not None
        assert fnb.CartView(rec) is not None
        doctor.examine(measure=False)
    named = sorted(line.split(";")[0] for line in requires("firmly-nb") or () if ";" not in line)
    print(f"Python {sys.version.split()[0]}")
    for line in named:
        name = line.split(">")[0].split("<")[0].split("!")[0].strip()
        print(f"  {name} {version(name)}")


if __name__ == "__main__":
    main()
