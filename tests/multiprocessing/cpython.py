"""Runs CPython's own tests of `multiprocessing` on the standard package and on ours, and compares test by test.

    python tests/multiprocessing/cpython.py [fork] [spawn] [forkserver]

The tests are those of the running interpreter. They are copied to a temporary folder, the name `multiprocessing`
becomes `minitensor.multiprocessing` in one of two copies, and nothing of them stays. Some of the tests start
interpreters that ignore PYTHONPATH, so the run happens in a temporary environment that knows the paths, and in a
folder where the packages lie too. Exits with 1 when a test that passes for the standard package does not for ours.
Takes some four minutes a method.
"""

import os
import re
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("_test_multiprocessing.py", "mp_preload.py", "mp_fork_bomb.py")
TIMEOUT = 1800
# A module's name, not a part of another name or of a path; sentences go on with a word.
NAME = re.compile(r"(?<![\w./])multiprocessing(?=[.)\s,\]'\"]|$)")


def substitute(line: str) -> str:
    if line.lstrip().startswith("#") or "unclosed running multiprocessing" in line:
        return line
    return NAME.sub("minitensor.multiprocessing", line)


def copy_tests(folder: Path, package: str, ours: bool) -> None:
    """Copy the interpreter's tests as `package`, for the standard package or for ours."""
    import test

    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    for name in COPIED:
        text = (Path(test.__path__[0]) / name).read_text()
        text = re.sub(r"(?<![\w.])test\.(_test_multiproc|test_multiproc|mp_preload)", rf"{package}.\1", text)
        if ours:
            text = "\n".join(map(substitute, text.split("\n")))
        (folder / package / name).write_text(text)
    for method in ("fork", "spawn", "forkserver"):
        (folder / package / f"test_multiprocessing_{method}.py").write_text(
            f"import {package}._test_multiprocessing as tests\n"
            f"tests.install_tests_in_module_dict(globals(), {method!r})\n"
        )


def make_environment(folder: Path) -> Path:
    """An environment whose interpreter finds the copies, our package and what is installed here."""
    venv.create(folder / "environment", symlinks=True)
    python = folder / "environment" / "bin" / "python"
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    (Path(packages) / "paths.pth").write_text("\n".join(map(str, [folder, ROOT, *site.getsitepackages()])))
    return python


def make_folder(folder: Path) -> Path:
    """A working folder from which everything can be imported without any path."""
    folder.mkdir()
    for source in [ROOT, folder.parent, *map(Path, site.getsitepackages())]:
        for path in source.glob("*"):
            if not (folder / path.name).exists() and (path.suffix == ".so" or (path / "__init__.py").exists()):
                (folder / path.name).symlink_to(path)
    return folder


def run(python: Path, folder: Path, package: str, method: str) -> set[str]:
    """Run one package's tests; those that failed."""
    log = folder.parent / f"{package}-{method}.log"
    with log.open("w") as output:
        code = subprocess.run(
            [python, "-m", "unittest", "-v", f"{package}.test_multiprocessing_{method}"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        ).returncode
    text = log.read_text()
    failed = re.findall(r"^(?:ERROR|FAIL): (\w+ \([\w.]+\)|.*)", text, re.M)
    count = re.search(r"^Ran (\d+) tests", text, re.M)
    print(f"{package} {method}: {count[1] if count else 'no'} tests, {len(failed)} failed", *failed, sep="\n    ")
    if code and not failed or not count:
        print(text[-3000:])
    return {test.replace(package, "") for test in failed} | (set() if count else {"the run"})


def main(methods: Iterable[str]) -> int:
    regressions: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as runners:
        folder = Path(name).resolve()
        for package in ("standard_tests", "our_tests"):
            copy_tests(folder, package, ours=package == "our_tests")
        python = make_environment(folder)
        for method in methods:
            futures = [
                runners.submit(run, python, make_folder(folder / f"{package}-{method}"), package, method)
                for package in ("standard_tests", "our_tests")
            ]
            standard, ours = (future.result() for future in futures)
            regressions[method] = sorted(ours - standard)
    for method, tests in regressions.items():
        print(f"{method}: {len(tests)} fail for ours only", *tests, sep="\n    ")
    return int(any(regressions.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ("fork", "spawn", "forkserver")))
