"""What every script here shares: JSON on stdout, exit code 1 when something is wrong, cost of a process."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, NoReturn


def finish(result: dict[str, Any], problems: list[str]) -> NoReturn:
    """Prints the result with its problems; exits 0 without problems and 1 with any."""
    print(json.dumps({**result, "problems": problems, "ok": not problems}, indent=2))
    sys.exit(1 if problems else 0)


def peak_rss_mb() -> float:
    """Highest resident memory of this process so far, in 10^6 bytes.

    Linux reports the peak of this program in VmHWM; ru_maxrss there may include the parent's peak from before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


class Phases:
    """Wall seconds and peak memory by phase; the peak includes all phases before, imports too."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, float]] = {}
        self.start = self.last = time.perf_counter()

    def done(self, name: str) -> None:
        now = time.perf_counter()
        self.phases[name] = {"wall_s": round(now - self.last, 2), "peak_rss_mb": peak_rss_mb()}
        self.last = now

    def summary(self) -> dict[str, Any]:
        return {
            "phases": self.phases,
            "total_wall_s": round(time.perf_counter() - self.start, 2),
            "total_cpu_s": round(time.process_time(), 2),
            "peak_rss_mb": peak_rss_mb(),
        }


def size_mb(path: Path) -> float:
    """Bytes of a model in 10^6, with the external data file that torch writes next to it; of a folder, its weights'."""
    if path.is_dir():
        return round(sum(file.stat().st_size for file in path.glob("*.safetensors")) / 1e6, 2)
    external = path.with_name(path.name + ".data")
    total = path.stat().st_size + (external.stat().st_size if external.exists() else 0)
    return round(total / 1e6, 2)
